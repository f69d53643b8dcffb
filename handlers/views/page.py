"""The page on which an approver approves after a sign-in, as HTML. Pure; it loads nothing and runs no script."""

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from bot.rotation.actions import Action
from bot.rotation.attention import objections
from bot.rotation.finding import Finding
from bot.rotation.flags import flags, shown_of
from bot.rotation.labels import label_of
from bot.rotation.plan import AffectedModel
from bot.rotation.policy import acceptable_as_a_whole, causes, mark_of, shown_unproved
from bot.rotation.record import Rotation
from bot.rotation.starting import asked_at_start
from handlers.views import evidence, summary
from handlers.views.blocks import escaped, visible
from handlers.views.buttons import deletes, starts
from handlers.views.modal import NOT_TESTED, REASON_MOST
from handlers.views.models import FINE, in_order

REASON, SHOWN, TOKEN, CAUSE = "reason", "shown", "token", "cause"
MODELS_MOST = 200

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--warn:#b25b00;--stop:#b3261e}
@media(prefers-color-scheme:dark){:root{--warn:#f0a04b;--stop:#f2857d}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;margin:0;overflow-wrap:anywhere;background:Canvas;color:CanvasText}
main{max-width:44rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.35rem;line-height:1.3;margin:.25rem 0 1rem}
h2{font-size:1rem;margin:1.75rem 0 .5rem}
p,ul{margin:.5rem 0}
.small{opacity:.75;font-size:.9rem}
.warn{border-left:4px solid var(--warn);background:var(--soft);padding:.5rem .75rem;margin:.5rem 0}
.stop{border-left:4px solid var(--stop);background:var(--soft);padding:.5rem .75rem;margin:.5rem 0}
code{font:.9em ui-monospace,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1rem;margin:.5rem 0}
dt{opacity:.75}
dd{margin:0}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line);vertical-align:top}
label{display:block;font-weight:600;margin-top:1.25rem}
textarea,input[type=password],input[type=text]{font:inherit;width:100%;padding:.5rem;border:1px solid var(--line);
border-radius:4px}
textarea{min-height:5rem}
input[aria-invalid]{border-color:var(--stop)}
.next{margin-top:1.25rem}
button{font:inherit;font-weight:600;color:#fff;background:#1d5fa8;border:0;border-radius:4px;padding:.65rem 1.25rem;
margin-top:1.25rem;cursor:pointer}
button.danger{background:#b3261e}
.box{font-weight:400;display:flex;gap:.5rem;align-items:baseline}
button:focus-visible,textarea:focus-visible,input:focus-visible{outline:3px solid #4a90d9;outline-offset:2px}
@media(max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}button{width:100%}
th{display:none}tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}
td{display:inline;border:0;padding:0}td:nth-child(2)::before{content:"in "}td:last-child{display:block;opacity:.75}}
"""

POLICY = "; ".join([
    "default-src 'none'",
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
])  # fmt: skip
"""What a browser may do on these pages: show them, and send their one form back."""


class Asked(NamedTuple):
    """What the page asks of an approver for one button."""

    title: Callable[[Rotation], str]
    what: Callable[[Rotation], str]
    """What it does, in mrkdwn."""

    shown: Callable[[Rotation], str]
    """The mark of what the page shows."""

    fields: Callable[[Rotation], str]
    heading: str
    style: str = ""


def _name(rotation: Rotation) -> str:
    return visible(rotation.plan.old_key.display_name, 100)


def _why(label: str) -> str:
    return (
        f'<label for="why">{label}</label><p class="small">Everyone can see it: it goes into the receipt, with your '
        f'name.</p><textarea id="why" name="{REASON}" maxlength="{REASON_MOST}" required></textarea>'
    )


def _accepts(rotation: Rotation) -> str:
    """Offer each cause to be ticked, or say what is accepted where there is no model to name."""
    boxes = [
        f'<label class="box"><input type="checkbox" name="{CAUSE}" value="{mark_of(why)}"> '
        f"<span>{html.escape(', '.join(visible(_place(model)) for model in models))}: "
        f"{html.escape(visible(why or NOT_TESTED, 300))}</span></label>"
        for why, models in causes(rotation)
    ]
    return f"{''.join(boxes)}{_why('Why may they stay unproved?')}"


def _place(model: AffectedModel) -> str:
    return f"{model.alias} in {model.environment_name}"


def _risk(rotation: Rotation) -> str:
    whole = acceptable_as_a_whole(rotation)
    what = (
        f"{escaped(whole)} If it does not work"
        if whole
        else ("Nothing proves that these models work on the new key: tick what you accept. If one does not work")
    )
    return f"{what}, its callers fail, and once the old key is deleted there is no way back."


ASKED: Mapping[Action, Asked] = {
    Action.DELETE_OLD_KEY: Asked(
        lambda rotation: f"Delete the old key “{_name(rotation)}”?",
        lambda rotation: escaped(deletes(rotation)),
        shown_of,
        lambda rotation: _why("Why delete anyway?") if flags(rotation) else "",
        "Models on the new key",
        "danger",
    ),
    Action.START: Asked(
        lambda rotation: f"Start to move models off “{_name(rotation)}”?",
        lambda rotation: escaped(starts(rotation)),
        asked_at_start,
        lambda rotation: _why("Why start anyway?") if objections(rotation) else "",
        "Models that move",
    ),
    Action.ACCEPT_UNPROVED: Asked(
        lambda rotation: f"Accept unproved: “{_name(rotation)}”?",
        _risk,
        shown_unproved,
        _accepts,
        "Models",
        "danger",
    ),
}
"""By the button that was pressed."""


AGAINST: Mapping[Action, Callable[[Rotation], list[str]]] = {
    Action.DELETE_OLD_KEY: evidence.against,
    Action.START: evidence.objected,
    Action.ACCEPT_UNPROVED: lambda _: [],
}
"""What speaks against it."""


def approval(rotation: Rotation, action: Action, who: str, token: str, wrong: str = "") -> str:
    """Show what is approved, what speaks against it, and the form; *wrong* is why it has to be sent again."""
    asked = ASKED[action]
    against = AGAINST[action](rotation)
    return page(
        asked.title(rotation),
        _of(
            f'<p class="small">You signed in as {html.escape(who)}.</p>',
            f'<p class="stop" role="alert">{html.escape(wrong)}</p>' if wrong else "",
            *(f'<p class="warn">▲ {marked(said)}</p>' for said in against),
            f"<p>{marked(asked.what(rotation))}</p>",
            _facts(rotation),
            _models(rotation, asked.heading),
            _form(rotation, action, token),
            closing(action),
        ),
    )


def closing(*actions: Action) -> str:
    """Say what to do for somebody who was sent a link to a sign-in."""
    which = " or ".join(f"<strong>{action.value}</strong>" for action in actions)
    return (
        f'<p class="small">Did you not press {which} in Slack yourself? Then close this page, and tell the people who '
        "run Keyturn.</p>"
    )


def notice(title: str, sentence: str, *, is_well: bool = False) -> str:
    """Show one sentence and nothing to press."""
    kind = "" if is_well else ' class="stop" role="alert"'
    return page(title, f"<p{kind}>{marked(sentence)}</p>")


def marked(text: str) -> str:
    """Write a sentence of a card, which is mrkdwn with its names escaped, as HTML."""
    parts = TOKENS.split(text)
    return "".join(_token(part) if number % 2 else _plain(part) for number, part in enumerate(parts))


TOKENS = re.compile(r"(<[^<>]*>|`[^`]*`|\*[^*`<>]+\*)")


def _token(token: str) -> str:
    if token.startswith("<"):
        shown = token[1:-1].rpartition("|")[2]
        return html.escape(html.unescape(shown.lstrip("@#!")))
    tag = "code" if token.startswith("`") else "strong"
    return f"<{tag}>{_plain(token[1:-1])}</{tag}>"


def _plain(text: str) -> str:
    return html.escape(html.unescape(text)).replace("\n", "<br>")


def page(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Keyturn: {html.escape(title)}</title><style>{STYLE}</style></head>"
        f'<body><main><p class="small">Keyturn</p><h1>{html.escape(title)}</h1>{body}</main></body></html>'
    )


def _of(*parts: str) -> str:
    return "".join(parts)


def _facts(rotation: Rotation) -> str:
    old, new = rotation.plan.old_key, rotation.replacement
    rows = [
        ("Old key", f"<code>{html.escape(visible(old.display_name))}</code> <code>{html.escape(old.id)}</code>"),
        ("New key", f"<code>{html.escape(visible(new.name))}</code>" if new else ""),
        ("Reason", html.escape(rotation.why)),
        ("Ticket", html.escape(rotation.ticket)),
        ("Evidence", "<br>".join(map(marked, _evidence(rotation)))),
    ]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{said}</dd>' for name, said in rows if said)}</dl>"


def _evidence(rotation: Rotation) -> Iterable[str]:
    return [*summary.lines(rotation), *evidence.facts(rotation)]


def _models(rotation: Rotation, heading: str) -> str:
    """List the models, those that need a look first, with why for those."""
    models = in_order(rotation)
    rows = [
        f"<tr><td>{html.escape(visible(model.alias))}</td> <td>{html.escape(visible(model.environment_name))}</td>"
        f"<td>{_status(rotation.finding(model))}</td></tr>"
        for model in models[:MODELS_MOST]
    ]
    more = f'<p class="small">and {len(models) - MODELS_MOST:,} more, on the card.</p>' if models[MODELS_MOST:] else ""
    head = "<tr><th>Model</th><th>Environment</th><th>Status</th></tr>"
    return f"<h2>{heading}</h2><table>{head}{''.join(rows)}</table>{more}" if rows else ""


def _status(finding: Finding) -> str:
    label = label_of(finding)
    why = "" if label in FINE else f": {html.escape(evidence.short(evidence.why(finding)))}"
    return f"{evidence.LABELS[label]}{why}"


def _form(rotation: Rotation, action: Action, token: str) -> str:
    asked = ASKED[action]
    return (
        '<form method="post" autocomplete="off">'
        f'<input type="hidden" name="{TOKEN}" value="{html.escape(token)}">'
        f'<input type="hidden" name="{SHOWN}" value="{html.escape(asked.shown(rotation))}">'
        f'{asked.fields(rotation)}<button class="{asked.style}">{action.value}</button></form>'
    )
