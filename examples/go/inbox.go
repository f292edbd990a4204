package main

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// keepIDs is how long a repeat is known. identwatch may post an event for DELIVERY_WINDOW, REDELIVERY_WINDOW and
	// DELIVERY_WINDOW again: 13 days by default.
	keepIDs   = 30 * 24 * time.Hour
	keepDraft = time.Hour // what a process that was killed left half written

	suffix = ".json"
	draft  = ".new-*"
)

// inbox is a directory with three others. An event waits in new, as a file that is named after its webhook-id. Once it was
// handled, an empty file in handled keeps the id, so that a repeat is known, and the person in it is gone.
type inbox struct{ fresh, handled, results string }

func openInbox(dir string) (inbox, error) {
	in := inbox{filepath.Join(dir, "new"), filepath.Join(dir, "handled"), filepath.Join(dir, "results")}
	return in, errors.Join(os.MkdirAll(in.fresh, 0o700), os.MkdirAll(in.handled, 0o700), os.MkdirAll(in.results, 0o700))
}

// fileOf names a file after what others chose.
func fileOf(dir, name string) string { return filepath.Join(dir, url.PathEscape(name)+suffix) }

// store keeps an event and reports whether it is new. When it returns, the event survives a power cut.
func (in inbox) store(id string, body []byte) (isNew bool, err error) {
	if known, err := in.wasHandled(id); known || err != nil {
		return false, err
	}
	temp, err := writeDraft(in.fresh, body)
	if err != nil {
		return false, err
	}
	defer os.Remove(temp)                     //nolint:errcheck // sweep tries again
	err = os.Link(temp, fileOf(in.fresh, id)) // fails where the id is there: storing and telling repeats are one step
	isNew = err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return isNew, syncDir(in.fresh) // a repeat too: the first request may not have come so far yet
}

func (in inbox) wasHandled(id string) (bool, error) {
	_, err := os.Stat(fileOf(in.handled, id))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// waiting returns the ids that are to be handled.
func (in inbox) waiting() ([]string, error) {
	files, err := os.ReadDir(in.fresh)
	var ids []string
	for _, file := range files {
		escaped, isEvent := strings.CutSuffix(file.Name(), suffix)
		if id, err := url.PathUnescape(escaped); err == nil && isEvent {
			ids = append(ids, id)
		}
	}
	return ids, err
}

func (in inbox) read(id string) ([]byte, error) { return os.ReadFile(fileOf(in.fresh, id)) }

// done keeps the id of an event and forgets the rest, in this order: a repeat finds the one or the other.
func (in inbox) done(id string) error {
	if err := replace(fileOf(in.handled, id), nil); err != nil {
		return err
	}
	return os.Remove(fileOf(in.fresh, id))
}

// sweep forgets what is old. What it cannot remove is left to the next sweep.
func (in inbox) sweep() {
	drafts, _ := filepath.Glob(filepath.Join(in.fresh, draft))
	removeOlder(drafts, keepDraft)
	ids, _ := filepath.Glob(filepath.Join(in.handled, "*"))
	removeOlder(ids, keepIDs)
}

func removeOlder(paths []string, age time.Duration) {
	for _, path := range paths {
		if file, err := os.Stat(path); err == nil && time.Since(file.ModTime()) > age {
			_ = os.Remove(path)
		}
	}
}

// replace gives a file its content, all at once.
func replace(path string, content []byte) error {
	temp, err := writeDraft(filepath.Dir(path), content)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// writeDraft writes a file under a name of its own, for its owner alone, through to the disk.
func writeDraft(dir string, content []byte) (path string, err error) {
	file, err := os.CreateTemp(dir, draft)
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// syncDir makes the names in a directory survive a power cut.
func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // a directory of the configuration's
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
