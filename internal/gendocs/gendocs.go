// Package gendocs makes the manual pages and the completion scripts from the
// commands. Only a test imports it: the program itself does not carry what it
// takes to write manuals.
package gendocs

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// Files returns the generated files by their paths in the repository. The same
// commands make the same bytes.
func Files(root *cobra.Command) (map[string][]byte, error) {
	files := map[string][]byte{}
	root.DisableAutoGenTag = true
	root.InitDefaultHelpCmd()
	if err := manuals(files, root); err != nil {
		return nil, err
	}
	for path, generate := range map[string]func(*bytes.Buffer) error{
		"completions/lightning.bash": func(b *bytes.Buffer) error { return root.GenBashCompletionV2(b, true) },
		"completions/_lightning":     func(b *bytes.Buffer) error { return root.GenZshCompletion(b) },
		"completions/lightning.fish": func(b *bytes.Buffer) error { return root.GenFishCompletion(b, true) },
		"completions/lightning.ps1":  func(b *bytes.Buffer) error { return root.GenPowerShellCompletionWithDesc(b) },
	} {
		var b bytes.Buffer
		if err := generate(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files[path] = b.Bytes()
	}
	return files, nil
}

func manuals(files map[string][]byte, cmd *cobra.Command) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	epoch := time.Unix(0, 0).UTC()
	var b bytes.Buffer
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Source: "Lightning DB", Manual: "Lightning DB", Date: &epoch}
	cmd.InheritedFlags().SortFlags = false // as in the help
	if err := doc.GenMan(cmd, header, &b); err != nil {
		return fmt.Errorf("manual of %s: %w", name, err)
	}
	// The date says when a page was generated, which helps nobody.
	page := strings.Replace(b.String(), `"Jan 1970" `, `"" `, 1)
	files["man/"+name+".1"] = []byte(readable(page, cmd))
	for _, sub := range cmd.Commands() {
		if err := manuals(files, sub); err != nil {
			return err
		}
	}
	return nil
}

var (
	option  = regexp.MustCompile(`(?m)^(?:\.PP\n)?((?:\\fB-\w\\fP, )?\\fB--([a-z-]+)\\fP)\[?=.*\n\t(.*)`)
	ofTopic = regexp.MustCompile(`(?s)\.SH (SYNOPSIS|OPTIONS[A-Z ]*)\n.*?\n\n\n`)
)

// readable has options look as they do in other manuals, where cobra shows what
// they are when nobody gives them: --json[=false], --file="". A topic is nothing
// to run, and has none; and the program's page names the topics.
func readable(page string, cmd *cobra.Command) string {
	if cmd.IsAdditionalHelpTopicCommand() {
		page = ofTopic.ReplaceAllString(page, "")
	}
	page = option.ReplaceAllStringFunc(page, func(text string) string {
		part := option.FindStringSubmatch(text)
		flag := cmd.Flag(part[2])
		name, _ := pflag.UnquoteUsage(flag)
		head, usage := part[1], part[3]
		if flag.NoOptDefVal == "" {
			head += ` \fI` + strings.ToUpper(name) + `\fP`
			if d := flag.DefValue; strings.Trim(d, "0s[]") != "" && !strings.Contains(usage, "default") {
				usage += " (default " + d + ")"
			}
		}
		return ".TP\n" + head + "\n" + usage
	})
	page = strings.Replace(page, ".SH OPTIONS", commands(cmd)+".SH OPTIONS", 1)
	if !cmd.HasParent() {
		page = strings.TrimRight(page, "\n")
		for _, c := range cmd.Commands() {
			if c.IsAdditionalHelpTopicCommand() {
				page += `, \fBlightning-` + c.Name() + `(1)\fP`
			}
		}
		page += "\n"
	}
	return page
}

// commands is the section of those below cmd, in the groups of the help.
func commands(cmd *cobra.Command) string {
	section := ""
	for _, group := range append(cmd.Groups(), &cobra.Group{Title: "Others:"}) {
		list := ""
		for _, c := range cmd.Commands() {
			if c.GroupID == group.ID && c.IsAvailableCommand() {
				list += ".TP\n\\fB" + c.Name() + "\\fP\n" + c.Short + "\n"
			}
		}
		if list != "" && len(cmd.Groups()) > 0 {
			section += ".SS " + strings.TrimSuffix(group.Title, ":") + "\n"
		}
		section += list
	}
	if section == "" {
		return ""
	}
	return ".SH COMMANDS\n" + section + "\n\n"
}
