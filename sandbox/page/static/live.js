// The one socket to the sandbox: items that change, and things to do that are answered.

export class Live {
  /** Call *changed* with the keys that are other than before. */
  constructor(person, changed, standing) {
    this.items = new Map();
    this.waiting = new Map();
    this.number = 0;
    this.changed = changed;
    this.standing = standing;
    this.#open(person);
  }

  #open(person) {
    this.person = person;
    const address = new URL(`live?as=${encodeURIComponent(person)}`, location.href.replace(/^http/, "ws"));
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.addEventListener("open", () => this.standing(true));
    socket.addEventListener("message", (event) => socket === this.socket && this.#heard(JSON.parse(event.data)));
    socket.addEventListener("close", () => socket === this.socket && this.#lost());
  }

  /** Be another person from now on. */
  become(person) {
    const old = this.socket;
    this.items.clear();
    this.#open(person);
    old.close();
  }

  #lost() {
    this.standing(false);
    this.#refuse();
    setTimeout(() => this.#again(), 1000);
  }

  #refuse() {
    for (const answer of this.waiting.values()) answer({ refused: "The sandbox does not answer." });
    this.waiting.clear();
  }

  #again() {
    this.items.clear();
    this.#open(this.person);
  }

  #heard(told) {
    if ("re" in told) {
      this.waiting.get(told.re)?.(told);
      this.waiting.delete(told.re);
      return;
    }
    for (const [key, item] of Object.entries(told.put)) this.items.set(key, item);
    for (const key of told.gone) this.items.delete(key);
    this.changed([...Object.keys(told.put), ...told.gone]);
  }

  /** Do something; resolves to what came of it, or to `{refused}` with a sentence. */
  do(act, given = {}) {
    const id = ++this.number;
    return new Promise((answer) => {
      this.waiting.set(id, (told) => answer(told.refused ? { refused: told.refused } : told.result));
      this.#send(JSON.stringify({ id, act, ...given }));
    });
  }

  /** Send it, as soon as the socket is open; if it never opens, the caller gets a refusal. */
  #send(asked) {
    const { socket } = this;
    if (socket.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.send(asked));
    else if (socket.readyState === WebSocket.OPEN) socket.send(asked);
    else this.#refuse();
  }

  /** The items whose key begins with *prefix*, in the order of their keys. */
  all(prefix) {
    return [...this.items]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, item]) => item);
  }

  get(key) {
    return this.items.get(key);
  }
}
