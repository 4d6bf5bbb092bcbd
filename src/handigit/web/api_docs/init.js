/* Shows this server's own OpenAPI description; requests are sent from the page, with the session's cookie or a token. */
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
});
