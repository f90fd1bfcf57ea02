/* The button beside a command copies it; where the browser does not allow that, it selects the command. */
for (const button of document.querySelectorAll("pre button")) {
  button.onclick = async () => {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "selected: copy it";
    }
  };
}
