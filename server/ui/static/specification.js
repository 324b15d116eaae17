/* Lays an API's specification out. It may be anyone's: only the document itself is fetched, whatever it
   refers to, and nothing can be sent from here. */
"use strict";

const place = document.getElementById("swagger");
const url = new URL(place.dataset.url, location.href).href;

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const nothing = () => () => null;

SwaggerUIBundle({
  url,
  domNode: place,
  supportedSubmitMethods: [],
  validatorUrl: "none",
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).href !== url) {
      throw new Error("only the document itself is fetched");
    }
    return request;
  },
  plugins: [{ wrapComponents: { authorizeBtn: nothing, authorizeOperationBtn: nothing } }],
});
