"""How people write where secrets can be read by reference, and what is refused."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from bot.rotation.frozen import Frozen
from bot.rotation.references import Allowance, Kind, prefix_of
from bot.settings.values import Address, Token, structure, told

CLUSTERS_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, populate_by_name=True)


class VaultStore(Frozen):
    """Vault or OpenBao, and who the bot is there: an AppRole, a role of a Kubernetes cluster, or a token in a file."""

    model_config = STRICT

    url: Address
    namespace: str = ""
    role_id: str = ""
    secret_id: Token | None = None
    secret_id_file: Path | None = None
    kubernetes_role: str = ""
    token_file: Path | None = None
    """The bot's own token there; with `kubernetes_role`, the token of the cluster."""

    login: str = Field("", pattern=r"^[\w/-]*$")
    """Where it signs in, if that is not called `approle` or `kubernetes`."""

    @model_validator(mode="after")
    def _is_somebody(self) -> "VaultStore":
        ways = [bool(self.role_id), bool(self.kubernetes_role), bool(self.token_file) and not self.kubernetes_role]
        if sum(ways) != 1:
            raise told("name one identity: role_id, kubernetes_role or token_file")
        if [bool(self.secret_id), bool(self.secret_id_file)].count(True) != bool(self.role_id):
            raise told("role_id needs either secret_id or secret_id_file, and nothing else does")
        return self

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that tell who the bot is."""
        token = self.token_file or (CLUSTERS_TOKEN if self.kubernetes_role else None)
        return tuple(filter(None, (self.secret_id_file, token)))


class AwsStore(Frozen):
    """AWS Secrets Manager in one region; the bot's identity comes from its surroundings."""

    model_config = STRICT

    region: str = Field(pattern=r"^[a-z]{2}(?:-[a-z]+)+-\d$")
    endpoint: Address | None = None
    """Another address than AWS's own: a VPC endpoint, or a double in tests."""


class FileStore(Frozen):
    """A folder of files, each with a secret."""

    model_config = STRICT

    folder: Path

    @field_validator("folder")
    @classmethod
    def _is_whole(cls, folder: Path) -> Path:
        if not folder.is_absolute() or folder == Path(folder.anchor):
            raise told("the folder should be a whole path: /run/secrets/keyturn")
        return folder


class WrittenAllowance(Frozen):
    """What may be read for some keys."""

    model_config = STRICT

    references: tuple[str, ...] = Field(min_length=1)
    providers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_for_something(self) -> "WrittenAllowance":
        try:
            list(map(prefix_of, self.references))
        except ValueError as error:
            raise told(str(error)) from None
        if not self.providers and not self.keys:
            raise told('name providers or keys that may use it: keys: ["*"] for all')
        return self

    @property
    def read(self) -> Allowance:
        """Return it as the rules use it."""
        prefixes = tuple(map(prefix_of, self.references))
        return Allowance(prefixes=prefixes, providers=self.providers, keys=self.keys)


class SecretSources(Frozen):
    """Where secrets can be read, and which of them for which keys."""

    model_config = STRICT

    vault: VaultStore | None = None
    aws_sm: AwsStore | None = Field(None, alias="aws-sm")
    file: FileStore | None = None
    allow: tuple[WrittenAllowance, ...] = ()

    @model_validator(mode="after")
    def _allows_what_is_there(self) -> "SecretSources":
        there = {Kind.VAULT: self.vault, Kind.WRAPPED: self.vault, Kind.AWS: self.aws_sm, Kind.FILE: self.file}
        if missing := next((p.kind for one in self.allowances for p in one.prefixes if not there[p.kind]), None):
            raise told(f"allow names {missing}, and {missing.removesuffix('-wrapped')} is not described")
        if self.file and self.vault and any(self.file.folder in file.parents for file in self.vault.files):
            raise told("the bot's own identity is in the folder of file: a reference could read it")
        return self

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """Return what may be read, as the rules use it."""
        return tuple(one.read for one in self.allow)

    @property
    def secrets(self) -> Iterator[SecretStr]:
        """Yield the secrets in it."""
        if self.vault and self.vault.secret_id:
            yield self.vault.secret_id


PARTS: Mapping[str, type[Frozen]] = {
    "vault": VaultStore,
    "aws-sm": AwsStore,
    "file": FileStore,
    "allow": WrittenAllowance,
}


def fields_at(place: Sequence[str]) -> Collection[str]:
    """Return which fields there are at a place in it."""
    return PARTS[place[0]].model_fields if place else PARTS


WrittenSources = Annotated[SecretSources, BeforeValidator(structure)]
