// The theme that was chosen before, set before anything is painted.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch { /* a browser may refuse storage; then the system's theme counts */ }
