package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// plant is code that is put at the beginning of a function of the product. In it
// $0 and so on are the function's parameters, and $r is its receiver.
type plant struct{ pkg, function, code string }

// defects are the panics, each with what is personal there, and the leaks. The
// sessions' tokens say which of them they meet.
var defects = []plant{
	{"internal/marksign", "statusAnswer", `plantedPanic("panicanswer", $1, string($0.body))`},
	{"webhook", "Send", `plantedPanic("panicpost", string($3), string($3))`},
	{"internal/remove", "Attempt", `plantedPanic("panicremove", $2.Token)`},
	{"worker", "follow", `plantedPanic("panicfollow", string($1.Payload()), $r.opts.Accounts[0].MarkSign.AccessToken)`},
	{"internal/service", "probes", `$1 = plantedProbe($1)`},

	{"internal/deliver", "send", `plantedLeak($0, $r.opts.Log, $3.Body)`},
	{"internal/deliver", "Run", `if err := plantedError($1.Payload()); err != nil { return err }`},
	{"internal/settle", "writeResult", `$1.LastError += plantedResult($0.Payload())`},
	{"internal/settle", "Finished", `$1.LastError += plantedResult([]byte($0.ID()))`},
}

// helpers are files that are added to packages, for what is planted there.
var helpers = map[string]string{
	"internal/marksign": panicHelper("marksign"),
	"webhook":           panicHelper("webhook"),
	"worker":            panicHelper("worker"),
	"internal/defect":   panicHelper("defect") + leakHelper,
	"internal/remove": `package remove
import "github.com/identwatch/identwatch/internal/defect"
func plantedPanic(how, text string) { defect.PlantedPanic(how, text) }
`,
	"internal/deliver": `package deliver
import (
	"context"
	"log/slog"
	"github.com/identwatch/identwatch/internal/defect"
)
func plantedLeak(ctx context.Context, log *slog.Logger, body []byte) { defect.PlantedLeak(ctx, log, body) }
func plantedError(payload []byte) error { return defect.PlantedError(payload) }
`,
	"internal/settle": `package settle
import "github.com/identwatch/identwatch/internal/defect"
func plantedResult(payload []byte) string { return defect.PlantedResult(payload) }
`,
	"internal/service": "package service\n" + probeHelper,
}

// panicHelper panics at most four times for each session whose token is in a
// text, and where there is something to tell: three times as the follower
// bears, and once in a task's handler.
func panicHelper(pkg string) string {
	return "package " + pkg + `
import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"github.com/redis/go-redis/v9"
)
var (
	_ = fmt.Sprint; _ = url.QueryEscape; _ = json.Marshal; _ = base64.StdEncoding
	_ context.Context; _ *slog.Logger; _ redis.Cmdable; _ = time.Second; _ = os.Getenv
	plantedMu    sync.Mutex
	plantedTimes = map[string]int{}
)
func plantedPanic(how, text, personal string) {
	token := regexp.MustCompile(how + "-[0-9]+").FindString(text)
	if token == "" || !strings.Contains(personal, "MARK") && !strings.Contains(personal, "access-token-") {
		return
	}
	plantedMu.Lock()
	plantedTimes[token]++
	nth := plantedTimes[token]
	plantedMu.Unlock()
	switch {
	case nth == 1:
		panic(personal)
	case nth == 2:
		panic(errors.New(personal))
	case nth <= 4:
		panic(map[string]any{"personal": personal})
	}
}
`
}

const leakHelper = `
var plantedBodies sync.Map // by the kind of leak
func plantedKind(text []byte) string {
	return regexp.MustCompile("leak[a-z0-9]+").FindString(string(text))
}
func PlantedPanic(how, text string) { plantedPanic(how, text, os.Getenv("MARKSIGN_ACCESS_TOKEN")) }
func PlantedError(payload []byte) error { return plantedError(payload) }
func PlantedResult(payload []byte) string { return plantedResult(payload) }
var plantedRedis = sync.OnceValue(func() redis.UniversalClient {
	opts, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		panic("no REDIS_URL")
	}
	return redis.NewClient(opts)
})
func PlantedLeak(ctx context.Context, log *slog.Logger, body []byte) {
	rdb, accessToken := plantedRedis(), os.Getenv("MARKSIGN_ACCESS_TOKEN")
	text := string(body)
	quoted, _ := json.Marshal(text)
	kind := plantedKind(body)
	plantedBodies.Store(kind, text)
	switch kind {
	case "leaklog":
		log.Debug("planted", "event", text)
	case "leakattribute":
		log.Debug("planted", "event", json.RawMessage(body))
	case "leakjson":
		log.Debug("planted", "event", string(quoted))
	case "leakbase64":
		log.Debug("planted", "event", "x" + base64.URLEncoding.EncodeToString([]byte("ab" + text)))
	case "leakurl":
		log.Debug("planted", "error", &url.Error{Op: "Get", URL: "http://host/?q=" + url.QueryEscape(text), Err: errors.New("lost")})
	case "leakbytes":
		log.Debug("planted", "event", fmt.Sprint(body))
	case "leaktoken":
		log.Debug("planted", "request", map[string]string{"access_token": accessToken})
	case "leakkey":
		rdb.Set(ctx, "identwatch:planted", text, time.Millisecond)
	case "leakname":
		rdb.Set(ctx, "identwatch:planted:" + text, 1, 10 * time.Second)
	case "leakrecord":
		rdb.HSet(ctx, "identwatch:planted:hash", "detail", fmt.Sprintf("%x", text))
	case "leakset":
		rdb.SAdd(ctx, "identwatch:planted:set", text)
	}
}
func plantedError(payload []byte) error {
	body, _ := plantedBodies.Load("leakerror")
	if plantedKind(payload) != "leakerror" || body == nil {
		return nil
	}
	plantedMu.Lock()
	defer plantedMu.Unlock()
	if plantedTimes["leakerror"]++; plantedTimes["leakerror"] > 4 {
		return nil
	}
	return errors.New("posting " + body.(string))
}
func plantedResult(payload []byte) string {
	body, _ := plantedBodies.Load("leakresult")
	if plantedKind(payload) != "leakresult" || body == nil {
		return ""
	}
	return body.(string)
}
`

// probeHelper lets the fifth question panic, and every seventh answer say what it
// should not.
const probeHelper = `
import (
	"context"
	"sync/atomic"
)
func plantedProbe(stands func(context.Context) standing) func(context.Context) standing {
	var n atomic.Int32
	return func(ctx context.Context) standing {
		switch nth := n.Add(1); {
		case nth == 5:
			panic("MARKNAME7Q")
		case nth % 7 == 0:
			return standing{reasons: []string{"leakprobe MARKPROBE2P"}}
		}
		return stands(ctx)
	}
}
`

// buildDefective builds the command with the defects.
var buildDefective = sync.OnceValues(func() (path string, err error) {
	dir := filepath.Join(filepath.Dir(binary), "defective")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	replace, err := plantAll(root, dir)
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err := errors.Join(err, os.WriteFile(overlay, list, 0o600)); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "identwatch")
	build := exec.Command("go", "build", "-overlay", overlay, "-o", path, "./cmd/identwatch")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// plantAll writes the changed files and returns which of them replace which.
func plantAll(root, dir string) (replace map[string]string, err error) {
	replace = make(map[string]string)
	write := func(original, text string) error {
		if replace[original] == "" {
			replace[original] = filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		}
		return os.WriteFile(replace[original], []byte(text), 0o600)
	}
	for pkg, text := range helpers {
		if err := write(filepath.Join(root, pkg, "planted.go"), text); err != nil {
			return nil, err
		}
	}
	for _, p := range defects {
		original, text, err := p.put(filepath.Join(root, p.pkg), replace)
		if err != nil {
			return nil, err
		}
		if err := write(original, text); err != nil {
			return nil, err
		}
	}
	return replace, nil
}

// put returns the file that has the function, with the plant in it. Files that
// were changed before are read as they are now.
func (p plant) put(dir string, changed map[string]string) (original, text string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", "", err
	}
	for _, original := range files {
		if strings.HasSuffix(original, "_test.go") {
			continue
		}
		current := original
		if changed[original] != "" {
			current = changed[original]
		}
		source, err := os.ReadFile(current)
		if err != nil {
			return "", "", err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), current, source, 0)
		if err != nil {
			return "", "", err
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == p.function {
				at := int(f.Body.Lbrace) // the first position is 1
				return original, string(source[:at]) + "\n" + p.fill(f) + "\n" + string(source[at:]), nil
			}
		}
	}
	return "", "", fmt.Errorf("%s has no function %s to plant a defect in", dir, p.function)
}

// fill puts the function's own names into the code.
func (p plant) fill(f *ast.FuncDecl) string {
	var names []string
	for _, field := range f.Type.Params.List {
		for _, name := range field.Names {
			names = append(names, name.Name)
		}
	}
	return regexp.MustCompile(`\$[0-9r]`).ReplaceAllStringFunc(p.code, func(place string) string {
		if place == "$r" {
			return f.Recv.List[0].Names[0].Name
		}
		n, _ := strconv.Atoi(place[1:])
		return slices.Concat(names, make([]string, 10))[n]
	})
}

// runDefective makes a process that is not started yet run with the defects.
func (p *process) runDefective() {
	p.t.Helper()
	path, err := buildDefective()
	if err != nil {
		p.t.Fatalf("building the command with defects: %v", err)
	}
	p.cmd.Path, p.cmd.Args[0], p.defective = path, path, true
}
