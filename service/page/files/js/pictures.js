// Pixels of photos: upright, as the service sees them.

const FACE_MARGIN = 0.5;
const MOST_SIDE_PX = 640;

/** An ImageBitmap of a photo, turned upright by its EXIF. Raises where it is no picture. */
export const bitmapOf = (blob) => createImageBitmap(blob, { imageOrientation: "from-image" });

/**
 * A JPEG of one face with some of what is around it, so that a detector finds it again. box: pixels of
 * the upright photo.
 */
export async function cropOf(bitmap, box, margin = FACE_MARGIN) {
  const around = margin * Math.max(box.width, box.height);
  const left = Math.max(0, Math.round(box.x - around));
  const top = Math.max(0, Math.round(box.y - around));
  const right = Math.min(bitmap.width, Math.round(box.x + box.width + around));
  const bottom = Math.min(bitmap.height, Math.round(box.y + box.height + around));
  const shrink = Math.min(1, MOST_SIDE_PX / Math.max(right - left, bottom - top));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round((right - left) * shrink));
  canvas.height = Math.max(1, Math.round((bottom - top) * shrink));
  canvas.getContext("2d").drawImage(bitmap, left, top, right - left, bottom - top, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

/** The frame that a video shows, as a JPEG. */
export function frameOf(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

/** Shows a blob in an `img`; its address is given back once it is drawn. */
export function showBlob(image, blob) {
  const url = URL.createObjectURL(blob);
  image.src = url;
  image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
  // What is no picture leaves its place empty.
  image.addEventListener("error", () => (URL.revokeObjectURL(url), (image.style.visibility = "hidden")), { once: true });
  return image;
}
