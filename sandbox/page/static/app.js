// The workspace: one person's Slack on the left, AISIX on the right, both as the sandbox tells them.

import { Aisix } from "./aisix.js";
import { drawMessage } from "./blocks.js";
import { Composer } from "./composer.js";
import { Modals, ask } from "./dialog.js";
import { align, el, refill } from "./dom.js";
import { Live } from "./live.js";
import { clock, mrkdwn } from "./mrkdwn.js";

const at = (id) => document.getElementById(id);
const NEAR = 80;

class App {
  constructor() {
    this.channel = "C_OPS";
    this.thread = null;
    this.began = false;
    this.seen = new Map();
    this.env = { act: this.acting(), follow: (url) => this.follow(url), focusAgain: (node) => this.focusAgain(node) };
    this.modals = new Modals(this.env, {
      close: () => this.live.do("close"),
      submit: (values) => this.live.do("submit", { values }),
    });
    this.live = new Live(
      new URLSearchParams(location.search).get("as") ?? "U_REQUESTER",
      (keys) => this.changed(keys),
      (up) => at("lost").toggleAttribute("hidden", up),
    );
    this.aisix = new Aisix(this.live, {
      suggest: (text) => this.suggestCommand(text),
      tell: (text) => this.toast(text),
    });
    this.composer = new Composer(at("compose"), "box", (text) => this.send(text, null), { commands: true });
    this.replier = new Composer(at("reply"), "reply-box", (text) => this.send(text, this.thread), {});
    this.listen();
  }

  listen() {
    at("person").addEventListener("change", (event) => this.become(event.target.value));
    at("thread-close").addEventListener("click", () => this.openThread(null));
    at("thread").addEventListener("keydown", (event) => event.key === "Escape" && this.openThread(null));
    document
      .querySelector(".sides")
      .addEventListener("click", (event) => event.target.dataset.side && this.show(event.target.dataset.side));
  }

  /** On a narrow window one side is seen at a time. */
  show(side) {
    document.body.dataset.side = side;
    for (const button of document.querySelectorAll(".sides button"))
      button.setAttribute("aria-pressed", String(button.dataset.side === side));
  }

  become(person) {
    this.began = false;
    this.modals.show([]);
    for (const id of ["messages", "replies"]) this.list(at(id), []);
    this.live.become(person);
    history.replaceState(null, "", `?as=${person}`);
  }

  // --- what is drawn ---

  changed(keys) {
    const touched = (prefix) => keys.some((key) => key.startsWith(prefix));
    if (touched("team")) this.team();
    if (touched("team") || touched("message/") || touched("ephemeral/")) this.messages(keys);
    if (touched("modals")) this.modals.show(this.live.get("modals"));
    this.aisix.changed(keys);
  }

  team() {
    const team = this.live.get("team");
    Object.assign(this.env, { me: team.me, names: team.names, people: team.people, groups: team.groups });
    this.env.conversations = Object.fromEntries(
      team.channels.filter((each) => !each.app && !each.shared).map((each) => [each.id, { name: `#${each.name}` }]),
    );
    const choices = team.picker.map((each) =>
      el("option", { value: each.id, selected: each.id === team.me }, each.label),
    );
    at("person").replaceChildren(...choices);
    at("person").value = team.me;
    if (!team.channels.some((each) => each.id === this.channel)) this.channel = team.channels[0].id;
  }

  channels(team) {
    const entry = (each) => {
      const unread = this.unread(each.id);
      const marks = [unread && "unread", each.app && team.away && "away"].filter(Boolean);
      return el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: marks.join(" "),
            "data-key": each.id,
            "aria-current": each.id === this.channel ? "page" : null,
            onclick: () => this.open(each.id),
          },
          el("span", { class: "hash", "aria-hidden": "true" }, each.app ? (team.away ? "○" : "●") : "#"),
          each.name,
          marks.length > 0 && el("span", { class: "visually-hidden" }, ` (${marks.join(", ")})`),
        ),
      );
    };
    const listed = (title, some) =>
      some.length && [
        el("p", { class: "kind", "aria-hidden": "true" }, title),
        el("ul", { "aria-label": title }, some.map(entry)),
      ];
    const here = team.channels.find((each) => each.id === this.channel);
    refill(at("channels"), [
      el("p", { class: "workspace" }, team.workspace),
      listed(
        "Channels",
        team.channels.filter((each) => !each.app),
      ),
      listed(
        "Apps",
        team.channels.filter((each) => each.app),
      ),
    ]);
    at("channel-name").textContent = here.app ? here.name : `# ${here.name}`;
    at("topic").textContent = here.topic;
    this.composer.show(here.app ? null : `Message #${here.name}`, here.closed);
  }

  /** Whether something was said in a channel, not in a thread, since it was looked at last. */
  unread(channel) {
    const newest =
      this.said()
        .filter((each) => each.channel === channel && !each.thread_ts)
        .at(-1)?.ts ?? "0";
    if (channel === this.channel || !this.began) this.seen.set(channel, newest);
    return Number(newest) > Number(this.seen.get(channel) ?? newest);
  }

  open(channel) {
    this.channel = channel;
    if (this.live.get("team").channels.some((each) => each.app && each.id === channel)) this.live.do("home");
    this.openThread(null);
    this.messages([], true);
  }

  /** Everything said, in the order in which it was. */
  said() {
    const all = [...this.live.all("message/"), ...this.live.all("ephemeral/")];
    return all.sort((a, b) => Number(a.ts) - Number(b.ts));
  }

  messages(keys, afresh = false) {
    const said = this.said();
    const here = said.filter(
      (each) => each.channel === this.channel && (!each.thread_ts || each.thread_ts === each.ts),
    );
    this.list(
      at("messages"),
      here.map((each) => this.keyed(each, this.replies(each, said))),
      afresh || !this.began,
    );
    if (this.thread) this.replying(said);
    if (this.began) this.announce(keys);
    this.channels(this.live.get("team"));
    this.began = true;
  }

  replies(parent, said) {
    return said.filter(
      (each) => each.thread_ts === parent.ts && each.channel === parent.channel && each.ts !== parent.ts,
    );
  }

  keyed(message, replies, alone = false) {
    const last = replies.at(-1);
    const content = JSON.stringify([message, replies.length, last?.ts, this.env.names, alone]);
    return [`${message.ts}`, content, () => this.entry(message, replies, alone)];
  }

  entry(message, replies, alone) {
    const shown = drawMessage(message, { ...this.env, message });
    if (replies.length && !alone) shown.querySelector(".said").append(this.footer(message, replies));
    return el("li", {}, shown);
  }

  footer(message, replies) {
    const count = `${replies.length} ${replies.length === 1 ? "reply" : "replies"}`;
    const open = () => this.openThread(message.ts);
    return el(
      "button",
      { type: "button", class: "replies", "data-key": "replies", onclick: open },
      el("strong", {}, count),
      ` Last reply at ${clock(replies.at(-1).ts)}`,
    );
  }

  /** Draw a list, and stay at its end if the reader was there. */
  list(node, wanted, afresh = false) {
    const pinned = afresh || node.scrollHeight - node.scrollTop - node.clientHeight < NEAR;
    const empty = [["empty", "", () => el("li", { class: "empty" }, "Nothing has been said here yet.")]];
    align(node, wanted.length ? wanted : empty);
    if (pinned) node.scrollTop = node.scrollHeight;
  }

  openThread(ts) {
    const before = this.thread;
    this.thread = ts;
    at("thread").hidden = !ts;
    document.body.classList.toggle("threaded", Boolean(ts));
    if (ts) this.replying(this.said(), true);
    if (ts) at("thread-close").focus();
    else if (before) document.querySelector(`[data-item="${before}"] .replies`)?.focus();
  }

  replying(said, afresh = false) {
    const parent = said.find((each) => each.ts === this.thread && each.channel === this.channel);
    if (!parent) return this.openThread(null);
    const replies = this.replies(parent, said);
    this.list(
      at("replies"),
      [this.keyed(parent, replies, true), ...replies.map((each) => this.keyed(each, [], true))],
      afresh,
    );
    return this.replier.show("Reply…");
  }

  /** Tell a screen reader what is new; of an edit only its first line, and only if that is other than before. */
  announce(keys) {
    const told = keys.map((key) => this.live.get(key)).filter((item) => item?.ts && item.user !== this.env.me);
    for (const message of told) {
      const line = spoken(message);
      this.heard ??= new Map();
      if (this.heard.get(message.ts) === line) continue;
      this.heard.set(message.ts, line);
      this.tell(`${message.only_you ? "Only visible to you: " : ""}${line}`);
    }
  }

  tell(text) {
    at("news").append(el("p", {}, text));
    while (at("news").childElementCount > 3) at("news").firstChild.remove();
  }

  // --- what is done ---

  /** What pressing, choosing and typing ahead do; *message* is where it stands, if not in a form. */
  acting() {
    const place = (message) => (message ? { channel: message.channel, ts: message.ts } : {});
    return {
      press: async (given, block, message) => {
        if (given.confirm && !(await ask(given.confirm))) return;
        this.answered(
          await this.live.do("click", {
            ...place(message),
            label: given.text.text,
            value: given.value,
            row: block.block_id,
          }),
        );
      },
      choose: async (given, option, message) => {
        if (option)
          this.answered(
            await this.live.do("choose", { ...place(message), action_id: given.action_id, option: option.value }),
          );
      },
      suggest: async (given, _block, query, message) =>
        (await this.live.do("suggest", { ...place(message), action_id: given.action_id, query })).options,
    };
  }

  answered(result) {
    if (result?.refused) this.toast(result.refused);
  }

  /** Say something of the page's own. */
  toast(text) {
    const shown = el("p", { class: "toast", role: "alert" }, text);
    document.body.append(shown);
    setTimeout(() => shown.remove(), 6000);
  }

  async send(text, thread_ts) {
    const result = await this.live.do(text.startsWith("/") ? "command" : "say", {
      text,
      channel: this.channel,
      thread_ts,
    });
    this.answered(result);
  }

  suggestCommand(text) {
    this.show("slack");
    this.composer.put(text);
  }

  /** Follow a link to a message of this workspace within the page. */
  follow(url) {
    const found = url.match(/\/archives\/([A-Z_0-9]+)\/p(\d+)(\d{6})/);
    if (!found) return false;
    this.open(found[1]);
    document.querySelector(`[data-item="${found[2]}.${found[3]}"]`)?.scrollIntoView({ block: "start" });
    return true;
  }

  /** Give the focus back to what had it before a form, also if it was drawn again since. */
  focusAgain(node) {
    if (node?.isConnected && node !== document.body) return node.focus();
    const twin = node?.dataset?.key && document.querySelector(`#slack [data-key="${CSS.escape(node.dataset.key)}"]`);
    return (twin ?? at("box"))?.focus();
  }
}

/** The first line of a message, as words. */
function spoken(message) {
  const first = message.blocks?.find((block) => block.text?.text)?.text.text ?? message.text;
  return el("p", {}, mrkdwn(first.split("\n")[0])).textContent.trim();
}

window.app = new App();
