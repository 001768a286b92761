// A button on every block of code that copies it: without prompts and results of >>>.
document.addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("div.highlight > pre")) {
    const button = document.createElement("button");
    button.className = "copy-code";
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy this code");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(codeOf(block.innerText));
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    block.parentElement.append(button);
  }
});

function codeOf(text) {
  const lines = text.split("\n");
  const prompt = /^(>>> |\.\.\. |\$ )/;
  if (!lines.some((line) => prompt.test(line))) return text;
  return lines
    .filter((line) => prompt.test(line) || line === "...")
    .map((line) => line.replace(prompt, "").replace(/^\.\.\.$/, ""))
    .join("\n");
}
