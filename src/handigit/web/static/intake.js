// How files come to the page: chosen, dropped anywhere, pasted, photographed. It hands them on and knows no more of them.

import { byId, make, on } from "./dom.js";

const VIDEO = { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1440 } };

/** `onFiles` gets an array of files, however they came. */
export function takeFiles(onFiles) {
  const hand = (files) => files?.length && onFiles([...files]);
  on("change", "#files, #snapshot", (input) => {
    hand(input.files);
    input.value = "";
  });
  on("click", "#choose", () => byId("files").click());
  document.addEventListener("paste", ({ clipboardData }) => hand(clipboardData?.files));
  takeDropped(hand);
  takePhotos(hand);
}

function takeDropped(hand) {
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("dropping", name === "dragover" || (name === "dragleave" && event.relatedTarget));
      if (name === "drop") hand(event.dataTransfer.files);
    });
  }
}

function takePhotos(hand) {
  const [dialog, finder] = [byId("camera"), byId("finder")];
  on("click", "#photograph", async () => {
    const reason = await turnOn(finder);
    byId("no-camera").textContent = reason;
    byId("take").textContent = reason ? "Choose a photo" : "Take";
    finder.hidden = reason;
    dialog.returnValue = "";
    dialog.showModal();
  });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue && finder.hidden) byId("snapshot").click(); // the device's own camera needs no leave of ours
    else if (dialog.returnValue) still(finder).then((photo) => hand([photo]));
    finder.srcObject?.getTracks().forEach((track) => track.stop());
  });
}

/** Why the camera shows nothing; an empty text if it does. */
async function turnOn(finder) {
  try {
    finder.srcObject = null;
    finder.srcObject = await navigator.mediaDevices.getUserMedia({ video: VIDEO }); // missing where it is not safe
    return "";
  } catch ({ name, message }) {
    return byId(name)?.textContent ?? message; // the page has words for the usual ones
  }
}

async function still(video) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const photo = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return new File([photo], `photo-${new Date().toISOString().slice(0, 19)}.jpg`, { type: "image/jpeg" });
}
