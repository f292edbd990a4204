package worker

import (
	"maps"
	"testing/synctest"
	"time"
)

// kept is a key as a Redis that restarts still has it.
type kept struct {
	kind  string
	text  string
	hash  map[string]string
	list  []string
	set   []string
	zset  map[string]float64
	until time.Duration
}

// loseASecond restarts Redis without what the last second wrote, which is what
// appendfsync everysec may lose. While nobody runs, the copy is of one moment.
func (l *life) loseASecond() {
	synctest.Wait()
	saved := l.saveRedis()
	time.Sleep(time.Second)
	synctest.Wait()
	l.losses++
	l.mini.FlushAll()
	for key, k := range saved {
		l.restore(key, k)
	}
}

func (l *life) saveRedis() map[string]kept {
	saved := map[string]kept{}
	for _, key := range l.mini.Keys() {
		k := kept{kind: l.mini.Type(key), until: l.mini.TTL(key)}
		var err error
		switch k.kind {
		case "string":
			k.text, err = l.mini.Get(key)
		case "hash":
			k.hash = map[string]string{}
			var fields []string
			fields, err = l.mini.HKeys(key)
			for _, field := range fields {
				k.hash[field] = l.mini.HGet(key, field)
			}
		case "list":
			k.list, err = l.mini.List(key)
		case "set":
			k.set, err = l.mini.Members(key)
		case "zset":
			var scores map[string]float64
			scores, err = l.mini.SortedSet(key)
			k.zset = maps.Clone(scores)
		default:
			l.t.Fatalf("%s is a %s", key, k.kind)
		}
		if err != nil {
			l.t.Fatal(err)
		}
		saved[key] = k
	}
	return saved
}

func (l *life) restore(key string, k kept) {
	var err error
	switch k.kind {
	case "string":
		err = l.mini.Set(key, k.text)
	case "hash":
		for field, value := range k.hash {
			l.mini.HSet(key, field, value)
		}
	case "list":
		_, err = l.mini.Push(key, k.list...)
	case "set":
		_, err = l.mini.SetAdd(key, k.set...)
	case "zset":
		for member, score := range k.zset {
			if _, err = l.mini.ZAdd(key, score, member); err != nil {
				break
			}
		}
	}
	if err != nil {
		l.t.Fatal(err)
	}
	if k.until > 0 {
		l.mini.SetTTL(key, k.until)
	}
}
