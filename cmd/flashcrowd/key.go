package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/flashcrowd/flashcrowd/agents/membership"
)

func keygenCommand(w world) *cobra.Command {
	return &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a cluster key, which lets nodes into one fleet",
		Long: `Make a cluster key and write it to FILE, which must not exist yet.

Whoever holds the key can join the fleet, lead it and stop it. It is what keeps
strangers out, so hand it to each machine as you would a password, and make one
for each campaign. What it can't do: make a worker load an address that is not on
the worker's own --allow list, or read an environment variable that is not on its
--env list.`,
		Args: exactly(1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeKey(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(w.Talk, "wrote %s: copy it to each machine of the fleet, readable by you alone\n", args[0])
			return nil
		},
	}
}

// writeKey makes a key file that only its owner can read.
func writeKey(path string) error {
	key := make([]byte, membership.KeySize)
	rand.Read(key) // never fails: see its doc
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write the key: %s is there already, and may be in use", path)
	}
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	_, err = fmt.Fprintln(f, base64.StdEncoding.EncodeToString(key))
	return errors.Join(err, f.Close())
}

// loadKey reads a key file. Others must not be able to read it. Without a path
// it is the key of this user on this machine, which is good for loopback alone;
// it is made where it is missing.
func loadKey(path string) ([]byte, error) {
	if path == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, usage(fmt.Errorf("find a place for this machine's key: %w\nhint: flashcrowd keygen FILE, and --key FILE", err))
		}
		path = filepath.Join(dir, "flashcrowd", "loopback.key")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if err := writeKey(path); err != nil {
				return nil, err
			}
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usage(fmt.Errorf("read the key: %w\nhint: flashcrowd keygen %s", err, path))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, usage(fmt.Errorf("read the key: others can read %s (mode %v)\nhint: chmod 600 %s, and a new key if this one was seen", path, info.Mode().Perm(), path))
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil || len(key) != membership.KeySize {
		return nil, usage(fmt.Errorf("read the key: %s is none that flashcrowd keygen wrote", path))
	}
	return key, nil
}
