// A photo by the camera of this machine. The camera is let go before the photo is used.

import { h, note } from "../dom.js";
import { frameOf } from "../pictures.js";
import { texts } from "../texts.js";
import { dialog } from "./dialog.js";

/** [file] that somebody took, or [] where nobody did. */
export async function photographed() {
  const video = h("video", { class: "webcam", autoplay: true, muted: true, playsInline: true, "aria-label": texts.webcam.title });
  const words = h("p", { class: "quiet" }, texts.webcam.waiting);
  let stream = null;
  let closed = false;
  navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } }).then(
    (got) => {
      if (closed) return got.getTracks().forEach((track) => track.stop());
      stream = got;
      video.srcObject = got;
      words.textContent = texts.webcam.look;
      return undefined;
    },
    () => words.replaceWith(note(texts.webcam.refused, "bad")),
  );
  const taken = await dialog(texts.webcam.title, h("div", {}, words, video), [
    { label: texts.common.cancel, value: null },
    { label: texts.webcam.take, value: () => (video.videoWidth ? frameOf(video) : null), kind: "main" },
  ]);
  const blob = await taken;
  closed = true;
  stream?.getTracks().forEach((track) => track.stop());
  return blob ? [new File([blob], "webcam.jpg", { type: "image/jpeg" })] : [];
}
