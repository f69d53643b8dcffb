// Light or dark: as the system has it, until somebody chooses. It runs before anything is drawn.

const KEPT = "keyturn-sandbox-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

const asked = new URLSearchParams(location.search).get("theme");
const current = () => asked ?? kept() ?? (dark.matches ? "dark" : "light");

function apply(theme) {
  document.documentElement.dataset.theme = theme;
}

apply(current());
dark.addEventListener("change", () => apply(current()));

addEventListener("DOMContentLoaded", () => {
  const toggle = document.querySelector("[data-toggle=theme]");
  if (!toggle) return;
  const tell = () => toggle.setAttribute("aria-pressed", String(document.documentElement.dataset.theme === "dark"));
  toggle.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    apply(theme);
    try {
      localStorage.setItem(KEPT, theme);
    } catch {
      /* a browser that keeps nothing still shows it */
    }
    tell();
  });
  tell();
});
