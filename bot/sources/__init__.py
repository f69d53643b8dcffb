"""Where a new secret can be read by reference: Vault and OpenBao, AWS Secrets Manager, a folder of files."""
