package cache_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/fault"
)

func value(v string) func() (string, error) { return func() (string, error) { return v, nil } }

// Spine 5. Remove the comparison of epochs in Get's deferred function to see it
// fail: the stale value is kept.
func TestAFillThatOverlapsAnInvalidationIsNotKept(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	got, _ := c.Get("r", "k", func() (string, error) {
		c.Drop("r", "k") // the change commits and is applied while we still read the old row
		return "old", nil
	})
	if got != "old" {
		t.Fatalf("Get = %q", got)
	}
	if got, _ := c.Get("r", "k", value("new")); got != "new" {
		t.Errorf("after the invalidation Get = %q, want new", got)
	}
}

// Whoever asks after an invalidation never gets a load that began before it.
func TestALoadFromBeforeAnInvalidationIsNotShared(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c.Get("r", "k", func() (string, error) {
			close(began)
			<-release
			return "old", nil
		})
	})
	<-began
	c.Drop("r", "k")
	if got, _ := c.Get("r", "k", value("new")); got != "new" {
		t.Errorf("Get = %q, want new", got)
	}
	close(release)
	wg.Wait()
	if got, ok := c.Peek("r", "k"); ok && got != "new" {
		t.Errorf("Peek = %q, want new or nothing", got)
	}
}

func TestLoadsOfOneKeyAreJoined(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	var loads atomic.Int32
	began, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		c.Get("r", "k", func() (string, error) { loads.Add(1); close(began); <-release; return "v", nil })
	})
	<-began
	for range 10 {
		wg.Go(func() {
			if got, _ := c.Get("r", "k", func() (string, error) { loads.Add(1); return "v", nil }); got != "v" {
				t.Errorf("Get = %q", got)
			}
		})
	}
	close(release)
	wg.Wait()
	if n := loads.Load(); n > 2 {
		t.Errorf("%d loads", n)
	}
}

// A busy realm is held to its share; its neighbour keeps what it has.
func TestBoundsHoldInAllAndPerRealm(t *testing.T) {
	c := cache.New[string]("t", 64<<10, 32<<10, func(s string) int { return len(s) })
	for i := range 5 {
		c.Get("neighbour", fmt.Sprint(i), value("mine"))
	}
	for i := range 5000 {
		c.Get("busy", fmt.Sprint(i), value("some value of some length"))
	}
	if n := c.Bytes(); n > 64<<10 {
		t.Errorf("holds %d bytes", n)
	}
	for i := range 5 {
		if _, ok := c.Peek("neighbour", fmt.Sprint(i)); !ok {
			t.Errorf("the neighbour's entry %d was pushed out", i)
		}
	}
	c.DropRealm("busy")
	if _, ok := c.Peek("busy", "4999"); ok {
		t.Error("a dropped realm still has entries")
	}
	if _, ok := c.Peek("neighbour", "0"); !ok {
		t.Error("dropping one realm dropped another's entry")
	}
}

// Spine 5: a flood of made-up keys reaches the database at a bounded rate, and
// costs the neighbour nothing. Let mayLoad return true to see it fail.
func TestMissesAreLimitedPerRealm(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	loads, refused := 0, 0
	for i := range 100_000 {
		_, err := c.Get("busy", fmt.Sprint(i), func() (string, error) { loads++; return "", errors.New("no such thing") })
		if fault.Is(err, fault.Unavailable) {
			refused++
		}
	}
	if refused == 0 || loads+refused != 100_000 {
		t.Errorf("%d loads, %d refused", loads, refused)
	}
	if got, err := c.Get("neighbour", "k", value("v")); err != nil || got != "v" {
		t.Errorf("the neighbour gets %q, %v", got, err)
	}
}

// What is found without a lock is as surely forgotten as the rest. Leave the slot
// alone in remove to see it fail.
func TestWhatIsFoundWithoutALockIsForgotten(t *testing.T) {
	for name, forget := range map[string]func(c *cache.Cache[string]){
		"a key":   func(c *cache.Cache[string]) { c.Drop("r", "k") },
		"a realm": func(c *cache.Cache[string]) { c.DropRealm("r") },
		"all":     func(c *cache.Cache[string]) { c.DropAll() },
		"for want of room": func(c *cache.Cache[string]) {
			for i := range 2000 {
				c.Get("r", fmt.Sprint(i), value("v"))
			}
		},
	} {
		c := cache.New[string]("t", 64<<10, 64<<10, nil)
		for range 3 {
			c.Get("r", "k", value("old"))
		}
		forget(c)
		if got, ok := c.Peek("r", "k"); ok {
			t.Errorf("%s: Peek = %q after it was forgotten", name, got)
		}
		if got, _ := c.Get("r", "k", value("new")); got != "new" {
			t.Errorf("%s: Get = %q, want new", name, got)
		}
	}
}

// Nobody who asks after an invalidation gets what was held before it, at whatever
// moment it comes.
func TestAnInvalidationIsSeenByWhoAsksAfterIt(t *testing.T) {
	c := cache.New[int64]("t", 1<<20, 1<<20, nil)
	var stored, dropped atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5000 {
				least := dropped.Load()
				got, err := c.Get("r", "k", func() (int64, error) { return stored.Load(), nil })
				if err == nil && got < least { // an error is a flood of loads
					t.Errorf("got %d after %d was announced", got, least)
					return
				}
			}
		})
	}
	for i := range int64(2000) {
		stored.Store(i)
		c.Drop("r", "k")
		dropped.Store(i)
	}
	wg.Wait()
}

// An entry that is asked for all the time outlives a flood of others, though its
// readers take no lock to say so.
func TestWhatIsUsedStays(t *testing.T) {
	c := cache.New[string]("t", 64<<10, 64<<10, nil)
	c.Get("r", "k", value("v"))
	for i := range 2000 {
		c.Get("r", fmt.Sprint(i), value("v"))
		if _, ok := c.Peek("r", "k"); !ok {
			t.Fatalf("it was pushed out by the others, at the %dth", i)
		}
	}
}

func TestAKeyInBytesFindsTheSame(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	for i := range 1000 { // more than are found without a lock
		key := fmt.Sprint("key ", i)
		if _, ok := c.PeekBytes("r", []byte(key)); ok {
			t.Fatalf("%s was never put there", key)
		}
		c.Get("r", key, value(key))
	}
	for i := range 1000 {
		key := fmt.Sprint("key ", i)
		for range 2 {
			if got, ok := c.PeekBytes("r", []byte(key)); !ok || got != key {
				t.Errorf("PeekBytes of %s = %q, %v", key, got, ok)
			}
		}
		if _, ok := c.PeekBytes("other", []byte(key)); ok {
			t.Errorf("%s was found in another realm", key)
		}
		c.Drop("r", key)
		if _, ok := c.PeekBytes("r", []byte(key)); ok {
			t.Errorf("%s was found when it was dropped", key)
		}
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	if _, err := c.Get("r", "k", func() (string, error) { return "", fmt.Errorf("away") }); err == nil {
		t.Fatal("want the error")
	}
	if got, err := c.Get("r", "k", value("v")); err != nil || got != "v" {
		t.Errorf("Get = %q, %v", got, err)
	}
}

func BenchmarkHit(b *testing.B) {
	c := cache.New[string]("t", 1<<20, 1<<20, nil)
	c.Get("default", "cli_0198f2c4a1b3kq7m2x9d5tz8wr", value("v"))
	b.ReportAllocs()
	for b.Loop() {
		c.Get("default", "cli_0198f2c4a1b3kq7m2x9d5tz8wr", nil)
	}
}
