package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each breakage of the project's own file is found, in the words that follow it.
var breakages = []struct{ name, from, to, found string }{
	{"unknown key", "stop_grace_period: 30s", "stop_grace: 30s", "stop_grace"},
	{"unknown service", "ioc: {condition: service_healthy}", "io: {condition: service_healthy}", `undefined service "io"`},
	{"unknown condition", "topics: {condition: service_completed_successfully}", "topics: {condition: done}", "condition"},
	{"undefined volume", "ioc-data:/var/lib/ioc", "ioc-date:/var/lib/ioc", "ioc-date"},
	{"no YAML", "services:\n", "services: [\n", "yaml"},
	{"floating image", "influxdb:2.7.12", "influxdb:latest", "not pinned"},
	{"image without tag", "apache/kafka:4.3.1", "apache/kafka", "not pinned"},
	{"open port", "127.0.0.1:${INFLUX_PORT", "${INFLUX_PORT", "beyond 127.0.0.1"},
	{"secret written down", "${IOC_INFLUX_TOKEN:?see .env.example}", "abc", "does not come from"},
	{"secret not required", ":?see .env.example}", ":-}", "left empty"},
	{"unexplained variable", "${KAFKA_HEAP:-", "${KAFKA_MEMORY:-", "KAFKA_MEMORY is not in .env.example"},
	{"root", `user: "10001:10001"`, `user: "0:0"`, "runs as root"},
	{"capabilities", "cap_drop: [ALL]", "cap_drop: [NET_RAW]", "cap_drop"},
	{"endless log", "max-size: 10m, ", "", "without bound"},
	{"no restart", "restart: unless-stopped", "restart: always", "unless-stopped"},
	{"one-shot for ever", "    restart: \"no\"\n", "", `must be "no"`},
	{"no health check", "test: [CMD, ioc, health]", "disable: true", "no healthcheck"},
}

func TestTheProjectsFileStands(t *testing.T) {
	if _, mistakes := check("../../../docker-compose.yml"); len(mistakes) > 0 {
		t.Fatal(strings.Join(mistakes, "\n"))
	}
}

func TestBreakagesAreFound(t *testing.T) {
	for _, b := range breakages {
		t.Run(b.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"docker-compose.yml", ".env.example"} {
				text, err := os.ReadFile(filepath.Join("../../..", name))
				if err != nil {
					t.Fatal(err)
				}
				if name == "docker-compose.yml" {
					if !strings.Contains(string(text), b.from) {
						t.Fatalf("the file no longer contains %q", b.from)
					}
					text = []byte(strings.ReplaceAll(string(text), b.from, b.to))
				}
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, mistakes := check(filepath.Join(dir, "docker-compose.yml"))
			if all := strings.Join(mistakes, "\n"); !strings.Contains(all, b.found) {
				t.Fatalf("%q expected, found: %s", b.found, all)
			}
		})
	}
}
