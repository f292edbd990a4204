SwaggerUIBundle({
  url: '/v1/openapi.json',
  domNode: document.getElementById('api'),
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  requestSnippetsEnabled: false,
  validatorUrl: null,
});
