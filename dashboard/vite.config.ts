import { defineConfig } from 'vitest/config';

// The build is embedded into the `ioc` binary: fixed base, no inlined assets (the Content-Security-Policy
// allows no data: scripts or fonts), hashed names so that everything but index.html may be cached for ever.
export default defineConfig({
  base: '/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
  },
  server: {
    proxy: { '/api': { target: process.env.IOC_URL ?? 'http://127.0.0.1:8080', ws: true } },
  },
  test: { include: ['test/**/*.test.ts'], environment: 'node' },
});
