// The baseline for variants: the same two images, with sharp alone.
import sharp from 'sharp';

sharp.cache(false);
sharp.concurrency(1);
process.on('message', async ({ path, output }) => {
  if (path === undefined) return;
  for (const side of [1_280, 320]) {
    await sharp(path)
      .autoOrient()
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 80 })
      .toFile(`${output}${side}`);
  }
  process.send({ made: true });
});
process.channel.ref();
process.send({ port: true });
