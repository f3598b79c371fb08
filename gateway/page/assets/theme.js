// Loaded before the page is painted, so that a remembered theme does not flash.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("deepsearch.theme");
  } catch {
    // a browser may forbid storage; then the system decides
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
