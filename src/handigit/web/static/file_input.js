// Files from the file dialog, drag and drop, paste or the camera.

import { byId, make, on } from "./dom.js";

const VIDEO = { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1440 } };

/** Call `onFiles` with an array of files, from any source. */
export function acceptFiles(onFiles) {
  const pass = (files) => files?.length && onFiles([...files]);
  on("change", "#files, #snapshot", (input) => {
    pass(input.files);
    input.value = "";
  });
  on("click", "#choose", () => byId("files").click());
  document.addEventListener("paste", ({ clipboardData }) => pass(clipboardData?.files));
  acceptDropped(pass);
  acceptPhotos(pass);
}

function acceptDropped(pass) {
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("dropping", name === "dragover" || (name === "dragleave" && event.relatedTarget));
      if (name === "drop") pass(event.dataTransfer.files);
    });
  }
}

function acceptPhotos(pass) {
  const [dialog, viewfinder] = [byId("camera"), byId("viewfinder")];
  on("click", "#photograph", async () => {
    const problem = await startCamera(viewfinder);
    byId("no-camera").textContent = problem;
    byId("take").textContent = problem ? "Choose a photo" : "Take photo";
    viewfinder.hidden = problem;
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue && viewfinder.hidden) byId("snapshot").click(); // the device's own camera app needs no permission
    else if (dialog.returnValue) photo(viewfinder).then((file) => pass([file]));
    viewfinder.srcObject?.getTracks().forEach((track) => track.stop());
  });
}

/** Why the camera cannot be used; an empty string if it can. */
async function startCamera(video) {
  try {
    video.srcObject = null;
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: VIDEO }); // undefined on plain http
    return "";
  } catch ({ name, message }) {
    return byId(name)?.textContent ?? message; // the page has texts for the usual ones
  }
}

async function photo(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  return new File([blob], `photo-${new Date().toISOString().slice(0, 19)}.jpg`, { type: "image/jpeg" });
}
