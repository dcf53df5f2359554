// A visitor's photograph: out of a file, turned as its EXIF says, read a few rows at a time.

/** → {name, width, height, rows, address}; throws an Error that says what is wrong, for a visitor to read */
export async function openPhotograph(file) {
  const bitmap = await decoded(file);
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  const rows = (top, count) => {
    [canvas.width, canvas.height] = [width, count];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "white"; // behind what is transparent
    context.fillRect(0, 0, width, count);
    context.drawImage(bitmap, 0, -top);
    return context.getImageData(0, 0, width, count).data;
  };
  return { name: file.name ?? "the picture", width, height, rows, address: URL.createObjectURL(file) };
}

async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Error(`${file.name || "What was given"}: no picture that this browser can read. Try a JPEG or a PNG.`);
  }
}

/** Calls take(file) for what is dropped anywhere on the page, pasted, or chosen with the input. */
export function listenForPhotographs(input, take) {
  const first = (files) => files?.[0] && take(files[0]);
  input.addEventListener("change", () => {
    first(input.files);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", ({ clipboardData }) => first(clipboardData?.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    first(event.dataTransfer.files);
  });
}
