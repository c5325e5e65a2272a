import type { Page } from 'playwright-core';

/** A video of two seconds whose color changes, as this browser records it. */
export async function recordVideo(page: Page, mimeType: string): Promise<Buffer> {
  const bytes = await page.evaluate(async (type) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
    const context = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: type });
    const chunks: Blob[] = [];
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    const stopped = new Promise((resolve) => {
      recorder.onstop = resolve;
    });
    recorder.start();
    let frame = 0;
    const timer = setInterval(() => {
      frame += 1;
      if (context) context.fillStyle = `hsl(${frame * 9} 100% 50%)`;
      context?.fillRect(0, 0, 160, 120);
      if (frame === 50) recorder.stop();
    }, 40);
    await stopped;
    clearInterval(timer);
    return [...new Uint8Array(await new Blob(chunks).arrayBuffer())];
  }, mimeType);
  return Buffer.from(bytes);
}
