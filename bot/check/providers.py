"""Check the accounts at providers: what each can do, tried with calls that change nothing, and which keys it serves."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import partial

from bot.app import utc_now
from bot.check.findings import Try, Wrong, ok, warn, wrong
from bot.check.policies import Lists
from bot.providers import AtProviders
from bot.providers.account import Account
from bot.rotation.credentials import Ability, Row
from bot.rotation.errors import ApiError
from bot.rotation.inventory import Inventory
from bot.rotation.phrases import listing
from bot.rotation.plan import plural
from bot.rotation.policies import is_named
from bot.settings import Settings
from bot.settings.providers import ProviderSettings
from bot.terminal import Finding

SETTING = "PROVIDERS"
WORDS = {
    Ability.MINT: "make one",
    Ability.LIST: "list them",
    Ability.LAST_USED: "say when one was used",
    Ability.DISABLE: "disable one",
    Ability.DELETE: "delete one",
}
CHANGES = (Ability.MINT, Ability.DISABLE, Ability.DELETE)
"""What can't be tried without a change."""

SAMPLE = timedelta(hours=1)


def providers(settings: Settings, lists: Lists) -> Iterator[Try]:
    """Return what can be tried: nothing without `PROVIDERS`."""
    accounts = AtProviders(settings.providers, utc_now)
    for account in accounts:
        about = f"account {account.name}"
        yield Try(about, SETTING, partial(_account, account))
        yield Try(about, SETTING, partial(_served, account, settings.providers[account.name], accounts, lists))
    if settings.providers:
        yield Try(SETTING, "AISIX_CLOUD_API", partial(_contested, accounts, lists))


async def _account(account: Account) -> list[Finding]:
    """List its credentials, and look at the use of one."""
    try:
        rows = await account.rows()
    except ApiError as error:
        raise Wrong(str(error)) from None
    said = f"{account.title} lists {plural(len(rows), 'credential')}. {_abilities(account)}"
    return [ok(said), *await _use(account, rows)]


def _abilities(account: Account) -> str:
    can = account.abilities
    changes = " and ".join(WORDS[each] for each in CHANGES if each in can)
    lacks = " or ".join(WORDS[each] for each in Ability if each not in can)
    untried = f"{account.asker} can read; whether it may {changes} can't be tried without a change."
    return f"{untried} Keyturn can't {lacks} there." if lacks else untried


async def _use(account: Account, rows: tuple[Row, ...]) -> list[Finding]:
    if not rows or Ability.LAST_USED not in account.abilities:
        return []
    try:
        await account.usage(rows[0], utc_now() - SAMPLE)
    except ApiError as error:
        return [warn(f"the use of a credential can't be read, so nothing can show that one is unused. {error}")]
    return []


async def _inventory(lists: Lists) -> Inventory | None:
    """Return what AISIX lists; None if it does not tell: the control plane's own line says so."""
    try:
        return await lists.inventory()
    except ApiError:
        return None


async def _served(
    account: Account, written: ProviderSettings, accounts: AtProviders, lists: Lists
) -> Iterable[Finding]:
    """Name the provider keys that an account is for."""
    inventory = await _inventory(lists)
    if inventory is None:
        return []
    unmet = [each for each in written.keys or () if not any(is_named(key, each) for key in inventory.keys)]
    served = [key.display_name for key in inventory.keys if accounts.of(key) is account]
    found = ok(f"it is for {listing(served)}.") if served else warn(NOBODYS)
    return [found, *(warn(f"`keys` names {each}, and AISIX Cloud has no such provider key.") for each in unmet)]


NOBODYS = (
    "it is for no provider key, so nothing uses it: name its provider keys in `keys`, or remove the account. Without "
    "`keys` it is for those of its provider that have no address of their own."
)


async def _contested(accounts: AtProviders, lists: Lists) -> list[Finding]:
    """Name each provider key that several accounts fit."""
    inventory = await _inventory(lists)
    fitting = [(key.display_name, accounts.fitting(key)) for key in (inventory.keys if inventory else ())]
    return [
        wrong(CONTESTED.format(" and ".join(one.name for one in several), key))
        for key, several in fitting
        if len(several) > 1
    ]


CONTESTED = "{} fit the provider key {}, so none of them is used for it: narrow their `keys`."
