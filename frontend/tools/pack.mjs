/** Packs the built app's texts beside themselves, as small as can be: they are packed once and sent often. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { brotliCompressSync, constants, gzipSync } from "node:zlib"

const LEAST_BYTES = 500
const TEXTS = /\.(js|css|html|svg|json|webmanifest)$/
const built = fileURLToPath(new URL("../../serve/static/", import.meta.url))

for (const { name, parentPath } of readdirSync(built, { recursive: true, withFileTypes: true })) {
  const file = join(parentPath, name)
  if (!TEXTS.test(name)) continue
  const text = readFileSync(file)
  if (text.length < LEAST_BYTES) continue
  writeFileSync(
    `${file}.br`,
    brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: text.length } }),
  )
  writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }))
}
