// Shows one of the three documents; which one is in the address, so that links and reloads keep it.
(() => {
  const documents = {
    unified: ["openapi.json", "openapi.yaml"],
    plannr: ["openapi/plannr.json"],
    feather: ["openapi/feather.json"],
  };
  const asked = new URLSearchParams(location.search).get("api");
  const api = Object.hasOwn(documents, asked ?? "") ? asked : "unified";

  for (const tab of document.querySelectorAll("[data-api]")) {
    if (tab.dataset.api === api) {
      tab.setAttribute("aria-current", "page");
      document.title = `${tab.textContent} – postroom API`;
    }
  }
  for (const path of documents[api]) {
    const link = document.createElement("a");
    link.href = path;
    link.textContent = path.endsWith(".yaml") ? "YAML" : "JSON";
    document.getElementById("files").append(link);
  }

  SwaggerUIBundle({
    dom_id: "#ui",
    url: new URL(documents[api][0], document.baseURI).href,
    deepLinking: true,
    docExpansion: "list",
    filter: true,
    tryItOutEnabled: true,
    persistAuthorization: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    showExtensions: false,
    validatorUrl: null,
  });
})();
