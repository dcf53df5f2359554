// The camera: its picture is looked at again as soon as the answer to the one before has come.

/** Frames of the video as JPEG until stop() is called; `see(blob)` is awaited for each. */
export class Camera {
  constructor(video, see) {
    this.video = video;
    this.see = see;
    this.stream = null;
  }

  get running() {
    return this.stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers give the camera to pages of https:// or of this machine alone.");
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      throw new Error(`No camera: ${error.message}`);
    }
    this.video.srcObject = this.stream;
    await this.video.play();
    this.look();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  frame() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  }

  async look() {
    const own = this.stream;
    while (this.stream === own && own !== null) {
      const blob = await this.frame();
      if (blob && this.stream === own) await this.see(blob);
      await new Promise(requestAnimationFrame);
    }
  }
}
