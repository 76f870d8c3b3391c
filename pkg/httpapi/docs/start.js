// Shows the document of this server, and nothing that would leave it: no fonts, no telemetry, no agent, no proxy.
'use strict';
Scalar.createApiReference('#api', {
  url: '/openapi.json',
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: 'never',
  hideClientButton: true,
  persistAuth: false,
  documentDownloadType: 'none',
  defaultOpenAllTags: false,
  metaData: { title: 'dealreg API' },
});
