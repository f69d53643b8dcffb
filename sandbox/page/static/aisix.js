// AISIX's side: which key each model is on, at the control plane and at every replica; requests; and the switches.

import { chart, legend } from "./chart.js";
import { align, el, refill } from "./dom.js";

const at = (id) => document.getElementById(id);
const COLOURS = 6;
const MOST = 40;

export class Aisix {
  constructor(live, { suggest, tell }) {
    this.live = live;
    this.suggest = suggest;
    this.tell = tell;
    for (const [id, title] of Object.entries(TITLES))
      at(id).append(el("h3", { id: `${id}-name` }, title), el("div", { class: "inner" }));
  }

  inner(id) {
    return at(id).querySelector(".inner");
  }

  changed(keys) {
    const touched = (key) => keys.includes(key);
    if (touched("guide")) this.guide(this.live.get("guide"));
    if (touched("traffic") || touched("keys")) this.traffic();
    if (touched("environments") || touched("keys")) this.environments();
    if (touched("gateways")) at("gateways").textContent = this.live.get("gateways");
    if (touched("provider")) this.provider(this.live.get("provider"));
    if (touched("secrets")) this.secrets();
    if (touched("switches")) this.switches();
  }

  /** A key's colour, by the letter it is known by here. */
  colour = (mark) => (mark ? `key-${(mark.charCodeAt(0) - 65) % COLOURS}` : "cached");

  chip(mark, how = "") {
    return mark
      ? el("span", { class: `key ${this.colour(mark)} ${how}` }, mark)
      : el("span", { class: `key none ${how}` }, "–");
  }

  guide(guide) {
    const use = (command) =>
      el(
        "button",
        { type: "button", class: "use", "data-key": `use/${command}`, onclick: () => this.suggest(command) },
        command,
      );
    const copy = ([name, value]) =>
      el(
        "button",
        { type: "button", class: "quiet", "data-key": `guide/${value}`, onclick: () => this.copy(value) },
        `Copy the ${name}`,
      );
    const lacking = guide.secrets.length < 2 && this.minting("guide");
    const spaced = (some) => some.flatMap((each) => [each, " "]);
    refill(
      this.inner("guide"),
      el(
        "ol",
        {},
        el("li", {}, "Put a command into the message box and press Enter: ", spaced(guide.commands.map(use))),
        el("li", {}, "Give a wrong secret first, then the right one: ", spaced(guide.secrets.map(copy)), lacking),
        el("li", {}, "Or press Create it for me: then no secret is typed, and below is what the provider made."),
        el("li", {}, "Be the approver (at the top; a second window can be the other person) and press Delete old key."),
        el("li", {}, "Then make it go wrong, below."),
      ),
    );
  }

  traffic() {
    const { seconds, totals } = this.live.get("traffic") ?? { seconds: [], totals: {} };
    const most = Math.max(
      MOST,
      ...seconds.map((each) => each.failed + Object.values(each.served).reduce((a, b) => a + b, 0)),
    );
    const keys = this.live.get("keys") ?? [];
    refill(
      this.inner("traffic"),
      chart(seconds, this.colour, most),
      el(
        "p",
        { class: "legends" },
        keys.map((each) => legend(this.colour(each.mark), `${each.mark} ${each.name}`)),
        legend("failed", "failed"),
      ),
      el(
        "p",
        { class: "totals" },
        el("strong", {}, totals.good?.toLocaleString() ?? "0"),
        " requests answered, ",
        el("strong", { class: totals.failed ? "bad" : "" }, totals.failed?.toLocaleString() ?? "0"),
        " failed",
      ),
    );
  }

  environments() {
    const keys = this.live.get("keys") ?? [];
    const legendOf = keys.map((each) =>
      el(
        "li",
        {},
        this.chip(each.mark),
        " ",
        each.name,
        " ",
        el("code", {}, each.id.slice(0, 8)),
        each.gone && el("span", { class: "hint" }, " deleted"),
      ),
    );
    refill(
      this.inner("environments"),
      el("ul", { class: "keys", "aria-label": "Provider keys" }, legendOf),
      (this.live.get("environments") ?? []).map((each) => this.environment(each)),
    );
  }

  environment(environment) {
    const key = `environment/${environment.name}`;
    const plane = el("th", { scope: "col" }, "Control plane", el("small", {}, `rev ${environment.revision}`));
    return el(
      "div",
      {
        class: "environment",
        tabindex: 0,
        role: "group",
        "aria-label": `Models in ${environment.name}`,
        "data-key": key,
      },
      el(
        "table",
        {},
        el("caption", { class: "visually-hidden" }, `Models in ${environment.name}, and the key that each is on`),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", { scope: "col", class: "name" }, environment.name),
            plane,
            environment.replicas.map((each) => this.replica(each)),
          ),
        ),
        el(
          "tbody",
          {},
          environment.models.map((model) => this.model(model, environment)),
        ),
      ),
    );
  }

  /** The head of a replica's column: how it is, and which configuration it serves. */
  replica(each) {
    return el(
      "th",
      { scope: "col", class: each.state === "in sync" ? "" : "astray" },
      each.name,
      el("small", {}, `${each.state} · rev ${each.revision}`),
      el("small", {}, el("span", { class: "visually-hidden" }, "configuration "), each.hash),
    );
  }

  model(model, environment) {
    const name = el("th", { scope: "row", class: model.throwaway ? "throwaway" : "" }, model.alias);
    if (model.reaches)
      return el(
        "tr",
        {},
        name,
        el(
          "td",
          { colspan: environment.replicas.length + 1, class: "reaches" },
          `${model.kind} → ${model.reaches.join(", ")}`,
        ),
      );
    const held = (each) => model.at[each.name] ?? "";
    return el(
      "tr",
      {},
      name,
      el("td", {}, this.chip(model.mark)),
      environment.replicas.map((each) =>
        el("td", {}, this.chip(held(each), held(each) === model.mark ? "" : "behind")),
      ),
    );
  }

  /** The credentials at the provider, as its own list shows them. */
  provider({ title, rows }) {
    at("provider-name").textContent = `Credentials at ${title}`;
    const line = (row) =>
      el(
        "li",
        { class: row.status === "active" ? "" : "over" },
        el("span", { class: "what" }, el("strong", {}, row.name), el("code", {}, row.hint)),
        el("span", { class: "what end" }, el("strong", {}, row.status), el("small", {}, row.used)),
      );
    refill(this.inner("provider"), el("ul", { class: "list credentials" }, rows.map(line)));
  }

  secrets() {
    const copy = (secret) =>
      el(
        "button",
        {
          type: "button",
          class: "quiet",
          "data-key": `copy/${secret.value}`,
          "aria-label": `Copy the ${secret.name}`,
          onclick: () => this.copy(secret.value),
        },
        "Copy",
      );
    const line = (secret) =>
      el(
        "li",
        {},
        el(
          "span",
          { class: "what" },
          el("strong", {}, secret.name),
          el("code", {}, secret.value),
          el("small", {}, secret.hint),
        ),
        copy(secret),
        this.toggle({
          name: `secret ${secret.value}`,
          label: `The provider accepts the ${secret.name}`,
          value: secret.accepted ? "yes" : "no",
          choices: [
            ["no", "refused"],
            ["yes", "accepted"],
          ],
        }),
      );
    refill(
      this.inner("secrets"),
      el("ul", { class: "list" }, this.live.get("secrets").map(line)),
      this.minting("list"),
    );
  }

  /** The button that makes another good secret, for when all that there are hang on a key. */
  minting(where) {
    const key = `mint/${where}`;
    const make = () => this.live.do("mint");
    return el("button", { type: "button", class: "quiet", "data-key": key, onclick: make }, "Make another good one");
  }

  async copy(value) {
    try {
      await navigator.clipboard.writeText(value);
      this.tell("Copied.");
    } catch {
      getSelection().selectAllChildren(
        [...document.querySelectorAll("#secrets code")].find((each) => each.textContent === value),
      );
    }
  }

  switches() {
    align(
      this.inner("switches"),
      this.live.get("switches").map((each) => [each.name, JSON.stringify(each), () => this.control(each)]),
    );
  }

  control(given) {
    const control = given.choices.length === 2 ? this.toggle(given) : this.choice(given);
    return el(
      "div",
      { class: given.value === given.choices[0][0] ? "switch" : "switch thrown" },
      el("span", { class: "what" }, el("strong", {}, given.label), el("small", {}, given.hint)),
      control,
    );
  }

  toggle(given) {
    const [off, on] = given.choices;
    const flip = (event) => this.set(given.name, event.target.checked ? on[0] : off[0]);
    const box = el("input", {
      type: "checkbox",
      role: "switch",
      "aria-label": given.label,
      "data-key": given.name,
      onchange: flip,
    });
    box.checked = given.value === on[0];
    return el(
      "label",
      { class: "toggle" },
      box,
      el("span", { "aria-hidden": "true" }, given.value === on[0] ? on[1] : off[1]),
    );
  }

  choice(given) {
    const options = given.choices.map(([value, words]) =>
      el("option", { value, selected: value === given.value }, words),
    );
    return el(
      "select",
      {
        "aria-label": given.label,
        "data-key": given.name,
        onchange: (event) => this.set(given.name, event.target.value),
      },
      options,
    );
  }

  async set(name, value) {
    const result = await this.live.do("switch", { name, value });
    if (result?.refused) this.tell(result.refused);
  }
}

const TITLES = {
  guide: "Try it",
  traffic: "What callers see",
  environments: "Which key each model is on",
  provider: "Credentials at the provider",
  secrets: "Secrets to try",
  switches: "Make it go wrong",
};
