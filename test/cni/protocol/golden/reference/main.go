// The reference library's plugin side (pkg/skel) with verbs that only decode what they get and print a fixed result:
// what it accepts and prints is recorded in ../skel-1.3.0.json.
package main

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

type args struct {
	types.CommonArgs
	K8S_POD_NAME types.UnmarshallableString
	FOO          types.UnmarshallableString
}

func load(a *skel.CmdArgs) (*types.NetConf, error) {
	conf := &types.NetConf{}
	if err := json.Unmarshal(a.StdinData, conf); err != nil {
		return nil, err
	}
	if err := types.LoadArgs(a.Args, &args{}); err != nil {
		return nil, err
	}
	return conf, version.ParsePrevResult(conf)
}

func add(a *skel.CmdArgs) error {
	conf, err := load(a)
	if err != nil {
		return err
	}
	if conf.PrevResult != nil {
		return types.PrintResult(conf.PrevResult, conf.CNIVersion)
	}
	result := &current.Result{CNIVersion: current.ImplementedSpecVersion}
	if err := json.Unmarshal([]byte(os.Getenv("RESULT")), result); err != nil {
		return err
	}
	return types.PrintResult(result, conf.CNIVersion)
}

func check(a *skel.CmdArgs) error {
	conf, err := load(a)
	if err == nil && conf.PrevResult == nil {
		return errors.New("required prevResult missing")
	}
	return err
}

func other(a *skel.CmdArgs) error {
	_, err := load(a)
	return err
}

func status(a *skel.CmdArgs) error {
	if os.Getenv("FAIL") != "" {
		return types.NewError(50, "pool exhausted", "")
	}
	return other(a)
}

func main() {
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Check: check, Del: other, GC: other, Status: status}, version.All, "CNI plugin ref v0")
}
