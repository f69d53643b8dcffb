"""The admin APIs of OpenAI, Anthropic and OpenRouter, as small real servers that an upstream can ask."""

from sandbox.providers.account import Credential, Switches
from sandbox.providers.anthropic import Anthropic
from sandbox.providers.openai import OpenAI
from sandbox.providers.openrouter import OpenRouter
from sandbox.providers.server import ProviderServer

__all__ = ["Anthropic", "Credential", "OpenAI", "OpenRouter", "ProviderServer", "Switches"]
