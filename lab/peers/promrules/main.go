// Reads PromQL as Prometheus does. With arguments, files of rules: whatever is wrong with them is a line, and exit code 1.
// Without, a JSON list of expressions on standard input; answers a list of what each of them needs:
//
//	[{"error": "", "selectors": [{"metric", "matchers": [{"label", "op", "value"}]}], "labels": [{"names", "metrics"}]}]
//
// where "labels" are those by which series of "metrics" are grouped or matched.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type matcher struct {
	Label string `json:"label"`
	Op    string `json:"op"`
	Value string `json:"value"`
}

type selector struct {
	Metric   string    `json:"metric"`
	Matchers []matcher `json:"matchers"`
}

type grouping struct {
	Names   []string `json:"names"`
	Metrics []string `json:"metrics"`
}

type needs struct {
	Error     string     `json:"error"`
	Selectors []selector `json:"selectors"`
	Labels    []grouping `json:"labels"`
}

var promql = parser.NewParser(parser.Options{})

func main() {
	if len(os.Args) > 1 {
		os.Exit(checkRules(os.Args[1:]))
	}
	var expressions []string
	if err := json.NewDecoder(os.Stdin).Decode(&expressions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]needs, 0, len(expressions))
	for _, expression := range expressions {
		answers = append(answers, read(expression))
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}

func checkRules(files []string) (exit int) {
	for _, file := range files {
		_, errs := rulefmt.ParseFile(file, false, model.LegacyValidation, promql, slog.Default())
		for _, err := range errs {
			fmt.Println(err)
			exit = 1
		}
	}
	return exit
}

func read(expression string) needs {
	tree, err := promql.ParseExpr(expression)
	if err != nil {
		return needs{Error: err.Error()}
	}
	found := needs{Selectors: selectorsOf(tree), Labels: []grouping{}}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch one := node.(type) {
		case *parser.AggregateExpr:
			found.group(one.Grouping, one.Expr)
		case *parser.BinaryExpr:
			if one.VectorMatching != nil && one.VectorMatching.On {
				found.group(one.VectorMatching.MatchingLabels, one.LHS)
				found.group(one.VectorMatching.MatchingLabels, one.RHS)
			}
		}
		return nil
	})
	return found
}

func (n *needs) group(names []string, of parser.Node) {
	if len(names) == 0 {
		return
	}
	metrics := []string{}
	for _, one := range selectorsOf(of) {
		metrics = append(metrics, one.Metric)
	}
	n.Labels = append(n.Labels, grouping{names, metrics})
}

func selectorsOf(tree parser.Node) []selector {
	found := []selector{}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if one, ok := node.(*parser.VectorSelector); ok {
			next := selector{Metric: one.Name, Matchers: []matcher{}}
			for _, m := range one.LabelMatchers {
				if m.Name != "__name__" {
					next.Matchers = append(next.Matchers, matcher{m.Name, m.Type.String(), m.Value})
				}
			}
			found = append(found, next)
		}
		return nil
	})
	return found
}
