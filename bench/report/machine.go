package report

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what the figures depend on.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"`
	Go         string `json:"go"`
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
	Revision   string `json:"revision"`
}

// NewMachine looks at this machine; dir is where the databases will be.
func NewMachine(dir string) Machine {
	m := Machine{
		CPU: cpu(), Cores: runtime.NumCPU(), Kernel: runtime.GOOS + "/" + runtime.GOARCH,
		FileSystem: output("df", "--output=fstype", dir), Go: runtime.Version(), LoadBefore: Load(),
		Revision: output("git", "describe", "--always", "--dirty"),
	}
	if k := output("uname", "-sr"); k != "" {
		m.Kernel = k + " " + runtime.GOARCH
	}
	return m
}

func cpu() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	_, rest, found := bytes.Cut(data, []byte("model name"))
	if !found {
		return "unknown"
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimLeft(string(line), "\t :")
}

// Load is the load average of the last minute, if the kernel tells.
func Load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// output is the last line that a command prints; empty if it cannot.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// Host is a name for the machine that says what it is, not whose.
func Host() string {
	return fmt.Sprintf("%s-%s-%dcores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
