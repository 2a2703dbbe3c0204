// Browsers refuse workers to a page that is read from a disk. There a hidden frame does a worker's
// part, so that the site can be searched without a server.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(address) {
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      const inside = this.frame.contentWindow;
      inside.postMessage = (data) => this.onmessage?.(new MessageEvent("message", { data }));
      const program = inside.document.createElement("script");
      this.ready = new Promise((resolve) => program.addEventListener("load", resolve));
      program.src = address;
      inside.document.body.append(program);
    }

    postMessage(data) {
      const message = new MessageEvent("message", { data });
      this.ready.then(() => this.frame.contentWindow?.dispatchEvent(message));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
