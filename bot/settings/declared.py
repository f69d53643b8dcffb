"""Every setting, declared once: name, type, default, unit, meaning.

Only `app`, `cli`, `check` and `connect` use all of them.
"""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.aisix.client import ANSWER_MOST
from bot.rotation.hours import Calendar, Quiet
from bot.rotation.policies import NamedPolicy
from bot.settings.policies import Policies
from bot.settings.providers import ProvidersByName
from bot.settings.sources import WrittenSources
from bot.settings.values import (
    BYTES,
    CHARACTERS,
    NUMBER,
    PORT,
    SWITCH,
    WHOLE_SECONDS,
    Address,
    Channel,
    Days,
    Duration,
    Folder,
    GatewaysByEnvironment,
    Ids,
    KeyPage,
    Limit,
    Lower,
    Names,
    Page,
    PageFolder,
    QuietHours,
    RedisAddress,
    Sizes,
    Tickets,
    Token,
    Zones,
)


class StoreSettings(BaseModel):
    """Where the records and the audit trail are: all that an audit needs."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    redis_url: RedisAddress | None = Field(
        None,
        description="redis://…, rediss://…, unix://… or redis(s)+sentinel://…; absent: an embedded server",
        examples=["redis://localhost:6379/0"],
    )
    redis_timeout: Limit = Field(timedelta(seconds=2), description="the time limit of one call to Redis")
    keyturn_data: Path = Field(Path("./var"), description="the folder of the embedded server's data")


class Settings(StoreSettings):
    """Every setting, declared once: name, type, default, unit (`title`), meaning, limits, and perhaps an example.

    `python -m tests.docs.settings_page --write` generates the table in `docs/settings.md`, and `.env.example`.
    """

    slack_bot_token: Token = Field(description="the bot token: xoxb-…", examples=["xoxb-fill-in"])
    slack_app_token: Token | None = Field(
        None, description="the app-level token for Socket Mode: xapp-…", examples=["xapp-fill-in"]
    )
    slack_signing_secret: SecretStr | None = Field(None, description="the signing secret, for HTTP mode")
    port: int | None = Field(None, ge=0, le=65535, title=PORT, description="for HTTP: 3000")
    worker_port: int | None = Field(
        None, ge=0, le=65535, title=PORT, description="for the pages of `python -m bot worker`: 3001"
    )
    slack_api_url: Folder = Field("https://slack.com/api/", description="where Slack's Web API is: https://…/")
    slack_timeout: Limit = Field(timedelta(seconds=10), description="the time limit of one call to Slack")
    slack_edits_per_minute: int = Field(45, ge=2, title=NUMBER, description="message edits a minute; Slack allows 50")

    aisix_cloud_api: Address = Field(
        description="the control plane's address, ending in /api: https://cp.example.com/api",
        examples=["https://cp.example.com/api"],
    )
    aisix_admin_token: Token = Field(description="an admin token with read and write scope", examples=["fill-in"])
    aisix_gateways: GatewaysByEnvironment = Field(
        {},
        description='JSON: {"<environment id>": {"url": "https://…", "caller_key": "…"}}; or a file with it, in YAML '
        "or JSON: @gateways.yaml",
        examples=['{"<environment id>": {"url": "https://gateway.example.com", "caller_key": "fill-in"}}'],
    )
    aisix_dashboard: KeyPage | None = Field(
        None, description="where people open AISIX: https://…, in which `{key}` stands for the id of a card's key"
    )
    control_plane_timeout: Limit = Field(timedelta(seconds=10), description="the time limit of one call to AISIX Cloud")
    control_plane_concurrency: int = Field(16, ge=1, title=NUMBER, description="concurrent calls to AISIX Cloud")
    control_plane_attempts: int = Field(4, ge=1, title=NUMBER, description="attempts of a call that is safe to retry")
    answer_limit: int = Field(
        ANSWER_MOST,
        ge=10_000,
        title=BYTES,
        description="the longest answer that Keyturn reads from AISIX, a gateway or a status address",
    )
    create_grace: Duration = Field(
        timedelta(seconds=30),
        description="how long Keyturn looks for a new key after the answer to its creation was lost",
    )
    read_back: Duration = Field(timedelta(seconds=10), description="how long AISIX may return old values after a write")
    patience: Duration = Field(
        timedelta(minutes=10), description="how long Keyturn retries before it stops the rotation"
    )
    mint_patience: Duration = Field(
        timedelta(seconds=60), description="how long Keyturn waits until a provider takes a key that it has just made"
    )

    probes: int = Field(3, ge=1, title=NUMBER, description="successful test requests in a row that each model needs")
    probe_timeout: Limit = Field(timedelta(seconds=30), description="the time limit of one test request")
    probe_concurrency: int = Field(8, ge=1, title=NUMBER, description="concurrent test requests")
    projection_timeout: Duration = Field(
        timedelta(seconds=120), description="how long a replica may take to apply a change"
    )
    settle: Duration = Field(
        timedelta(seconds=2), description="the pause between the last move and the first test request"
    )
    verify_timeout: Duration = Field(timedelta(seconds=120), description="how long unclear answers are retried")
    status_timeout: Limit = Field(timedelta(seconds=5), description="the time limit of one status page")
    require_proof: bool = Field(
        False, title=SWITCH, description="whether the gateways' counters must prove every model"
    )
    waves: Sizes = Field(
        (1,),
        description="the number of models in each wave, separated by commas, the rest last: 1,10,rest (or only: rest)",
    )
    environment_order: Names = Field(
        (), description="names or ids of environments, separated by commas, in the order of the cut-over"
    )
    soak: Duration = Field(timedelta(0), description="how long every model must keep working before the approval")
    listen: Duration = Field(
        timedelta(minutes=5), description="how long the old key must stay unused where AISIX does not show every list"
    )
    look_interval: Limit = Field(
        timedelta(seconds=30), description="the time between two checks of every model during the soak"
    )
    evidence_max_age: Limit = Field(timedelta(days=1), description="how old the evidence may be at the approval")
    watch: Duration = Field(timedelta(hours=1), description="how long test requests continue after the delete")

    fingerprint_pepper: SecretStr | None = Field(
        None,
        min_length=16,
        title=CHARACTERS,
        description="a random secret; with it Keyturn recognizes an API key that is already in use",
    )

    secret_sources: WrittenSources | None = Field(
        None,
        description="where a new secret may be read, and for which keys; JSON, or a file with it, in YAML or JSON: "
        "@sources.yaml ([how to write one](secrets.md)). Absent: the form takes the secret itself only",
    )

    requesters: Ids | None = Field(None, description="user ids (U…) and user-group ids (S…), separated by commas")
    approvers: Ids = Field(
        description="user ids (U…) and user-group ids (S…), separated by commas", examples=["S0123456789"]
    )
    approvals_required: int = Field(1, ge=1, title=NUMBER, description="how many approvers must agree")
    self_approval: bool = Field(False, title=SWITCH, description="whether a requester may approve")
    approval_link: PageFolder | None = Field(
        None,
        description="where people reach PORT: https://…/; set, Delete old key gives the approver a link to a page that "
        "takes a sign-in",
    )
    oidc_issuer: Page | None = Field(
        None, description="the company's OpenID Connect provider, as it calls itself: https://login.example.com"
    )
    oidc_client_id: str | None = Field(None, min_length=1, title=CHARACTERS, description="what it calls Keyturn")
    oidc_client_secret: Token | None = Field(None, description="the client secret that it gave for Keyturn")
    secret_form: Annotated[Literal["slack", "web"], Lower] = Field(
        "slack",
        description="where people give the new secret: in Slack's form, or on a page of Keyturn (APPROVAL_LINK)",
    )
    require_reason: bool = Field(
        False, title=SWITCH, description="whether a requester must say why, in the form of the new secret"
    )
    ticket_pattern: Tickets | None = Field(
        None,
        description="what a ticket looks like, a regular expression, and perhaps the address that it opens: "
        r"OPS-\d+ => https://tracker.example.com/browse/{ticket}",
    )
    policy: Policies = Field(
        {},
        description="what some environments or keys ask for besides; JSON, or a file with it, in YAML or JSON: "
        "@policy.yaml ([how to write one](#policies))",
    )
    providers: ProvidersByName = Field(
        {},
        description="the accounts at providers whose API Keyturn may use; JSON, or a file with it, in YAML or JSON: "
        "@providers.yaml ([how to write one](#accounts-at-providers))",
    )
    click_max_age: Limit = Field(
        timedelta(seconds=60), description="how old a click on Delete old key or Accept unproved may be"
    )
    cards_per_person: int = Field(
        20, ge=1, title=NUMBER, description="rotations of one requester that may wait for their secret at a time"
    )
    cards_per_channel: int = Field(
        100, ge=1, title=NUMBER, description="rotations in one channel that may wait for their secret at a time"
    )
    secret_expiry: Limit = Field(timedelta(days=1), description="how long a card waits for its secret")
    approval_reminder: Limit = Field(
        timedelta(hours=4),
        description="the time until the first reminder to approve; each further one takes twice as long",
    )
    approval_expiry: Limit = Field(
        timedelta(days=3), description="how long Keyturn waits for an approval before it parks the rotation"
    )
    after_expiry: Annotated[Literal["park", "roll-back"], Lower] = Field(
        "park", description="what happens if nobody approves in time: park or roll-back"
    )
    approver_dm: bool = Field(
        False, title=SWITCH, description="whether each approver gets a direct message when an approval is wanted"
    )
    stop_reminder: Limit = Field(
        timedelta(hours=4),
        description="the time until the requester is reminded of a stop; each further reminder takes twice as long",
    )
    page_after: Limit = Field(
        timedelta(minutes=5),
        description="the time until people are paged again while callers fail; each further page takes twice as long",
    )
    escalation: Ids = Field(
        frozenset(),
        description="user ids (U…) and user-group ids (S…), separated by commas: whom a second page goes to as well",
    )
    quiet_hours: QuietHours = Field(
        Quiet(time(22), time(7)),
        description="when nobody is reminded: 22:00-07:00, or none; callers that fail are no reason to wait",
    )
    working_days: Days = Field(
        frozenset(range(5)),
        description="the days on which people are reminded: mon-fri, or none for every day",
    )
    time_zone: Zones = Field(
        {},
        description="Europe/Berlin for all channels, or C0123456789=Europe/Berlin,… for some; absent: the "
        "requester's in Slack",
    )
    bulk_concurrency: int = Field(
        1, ge=1, title=NUMBER, description="rotations of batches that may be under way at a time in one environment"
    )
    one_approval_for_a_batch: bool = Field(
        False,
        title=SWITCH,
        description="whether one click may approve every rotation of a batch that waits for it, as its message shows",
    )
    rotate_every: Limit | None = Field(
        None, description="how old a provider key may get; older ones are listed once a week. Absent: no list"
    )
    age_channel: Channel | None = Field(
        None, description="the id of the channel where keys older than ROTATE_EVERY are listed: C…"
    )
    revoke_within: Limit = Field(
        timedelta(days=1), description="how long an API key that is no longer used may still work at its provider"
    )

    revoke_grace: Limit = Field(
        timedelta(days=1),
        description="how long an API key stays disabled at its provider, if it can do that, before it is deleted",
    )
    exposed_revoke_within: Limit = Field(
        timedelta(hours=2), description="by when after its report an exposed key must be revoked at the provider"
    )

    worker_concurrency: int = Field(10, ge=1, title=NUMBER, description="rotations that one worker runs at a time")
    sweep_interval: int = Field(
        5, ge=1, le=30, title=WHOLE_SECONDS, description="the time between searches for forgotten work"
    )
    lease: Limit = Field(timedelta(seconds=15), description="how long until another worker takes over from a dead one")
    http_body_limit: int = Field(
        1_000_000, ge=10_000, title=BYTES, description="the largest request that Keyturn reads from Slack"
    )
    shutdown_grace: Duration = Field(
        timedelta(seconds=3), description="how long running work may take to finish after a stop signal"
    )
    docs_url: PageFolder | None = Field(
        None,
        description="where people read the folder docs: https://…/; a stopped card then links to its stops.md",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Lower] = Field(
        "info", description="the lowest level that is logged"
    )
    log_format: Literal["json", "console"] = Field("json", description="the format of the log")

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        """Return every secret in the settings; none of them may be shown to anyone."""
        own = [value for _, value in self if isinstance(value, SecretStr)]
        callers = (gateway.caller_key for gateway in self.aisix_gateways.values())
        admins = (account.admin_key for account in self.providers.values() if account.admin_key)
        return (*own, *callers, *admins, *(self.secret_sources.secrets if self.secret_sources else ()))

    @property
    def calendar(self) -> Calendar:
        """Return when people may be reminded."""
        return Calendar(self.quiet_hours, self.working_days, self.time_zone)

    @property
    def policies(self) -> tuple[NamedPolicy, ...]:
        """Return what each policy asks for."""
        return tuple(written.named(name) for name, written in self.policy.items())

    @property
    def is_secret_on_a_page(self) -> bool:
        """Tell whether people give the new secret on a page, and not in Slack's form."""
        return self.secret_form == "web"  # noqa: S105 - a choice

    @property
    def http_mode(self) -> bool:
        """Tell whether Slack sends events by HTTP, not over a socket."""
        return self.slack_app_token is None
