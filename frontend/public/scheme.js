// Sets the colour scheme before the first paint, so that a dark room never sees a white flash.
;(() => {
  let chosen = "auto"
  try {
    chosen = localStorage.getItem("twinfold.scheme") || "auto"
  } catch {
    // Storage is blocked: the system's scheme it is.
  }
  const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches)
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light")
})()
