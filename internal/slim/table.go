package main

// A module is a dependency, and what is taken out of it.
type module struct {
	path  string
	edits []edit
}

// table is all that a built program has less than its sources say. Saved are
// bytes of the stripped program for linux/amd64, each with the lines above it
// done.
//
// Where a caller could ask for what is gone, it does not compile, or is told by
// an error; nothing does something else in silence.
var table = []module{
	{"github.com/spf13/cobra", []edit{
		// Templates are for SetHelpTemplate and its like: without text/template.
		// Saved: 94,208.
		cut("cobra.go", "templateFuncs", "AddTemplateFunc", "AddTemplateFuncs", "tmpl"),
		cut("command.go", "Command.SetUsageTemplate", "Command.SetHelpTemplate", "Command.SetVersionTemplate"),

		// A regexp for one character class. Saved: 12,288, and what follows.
		cut("completions.go", "configEnvVarPrefixSubstRegexp"),
		swap("completions.go", `configEnvVarPrefixSubstRegexp.ReplaceAllString(v, "_")`,
			`strings.Map(func(r rune) rune { if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' { return r }; return '_' }, v)`),

		// Groups of flags, required flags, and flags of parents before a command:
		// none of our commands has any. Saved: 17,133.
		drop("flag_groups.go"),
		swap("command.go", "\tif err := c.ValidateRequiredFlags(); err != nil {\n\t\treturn err\n\t}\n\tif err := c.ValidateFlagGroups(); err != nil {\n\t\treturn err\n\t}\n", ""),
		cut("command.go", "Command.ValidateRequiredFlags", "Command.Traverse"),
		swap("command.go", "\tTraverseChildren bool\n", ""),
		swap("command.go", "if c.TraverseChildren {\n\t\tcmd, flags, err = c.Traverse(args)\n\t} else {", "{"),
		cut("completions.go", "completeRequireFlags"),
		swap("completions.go", "finalCmd.enforceFlagGroupsForCompletion()", ""),
		swap("completions.go", "completions = completeRequireFlags(finalCmd, toComplete)\n", ""),
		swap("completions.go", "completions = append(completions, completeRequireFlags(finalCmd, toComplete)...)", ""),
		swap("completions.go", "if c.Root().TraverseChildren {\n\t\tfinalCmd, finalArgs, err = c.Root().Traverse(trimmedArgs)\n\t} else {", "{"),
		swap("completions.go", "if !finalCmd.Root().TraverseChildren {", "{"),
		swap("bash_completions.go", " && !cmd.Root().TraverseChildren", ""),
		cut("shell_completions.go", "MarkFlagRequired", "Command.MarkFlagRequired", "Command.MarkPersistentFlagRequired"),
	}},

	{"github.com/mattn/go-runewidth", []edit{
		// A regexp for the name of a locale, as in ja_JP.eucJP: without regexp.
		// Saved: 229,376.
		swap("runewidth_posix.go", `"regexp"`, `"path"`),
		swap("runewidth_posix.go", "var reLoc = regexp.MustCompile(`^[a-z][a-z][a-z]?(?:_[A-Z][A-Z])?\\.(.+)`)", `
// charsetOf returns what follows the dot, nothing if what is before it is no locale.
func charsetOf(locale string) string {
	place, charset, _ := strings.Cut(locale, ".")
	for _, pattern := range []string{"[a-z][a-z]", "[a-z][a-z][a-z]", "[a-z][a-z]_[A-Z][A-Z]", "[a-z][a-z][a-z]_[A-Z][A-Z]"} {
		if ok, _ := path.Match(pattern, place); ok {
			charset, _, _ = strings.Cut(charset, "\n")
			return charset
		}
	}
	return ""
}`),
		swap("runewidth_posix.go", "r := reLoc.FindStringSubmatch(locale)\n\tif len(r) == 2 {\n\t\tcharset = strings.ToLower(r[1])\n",
			"if c := charsetOf(locale); c != \"\" {\n\t\tcharset = strings.ToLower(c)\n"),
	}},

	{"github.com/spf13/pflag", []edit{
		// Flags of addresses: without net. Saved: 77,824.
		drop("ip.go"),
		drop("ip_slice.go"),
		drop("ipmask.go"),
		drop("ipnet.go"),
		drop("ipnet_slice.go"),
		swap("flag.go", "\tcase *ipValue, *ipMaskValue, *ipNetValue:\n\t\treturn f.DefValue == \"<nil>\"\n", ""),

		// Flags of Go's own package: without flag. Saved: 36,864.
		cut("golangflag.go", "flagValueWrapper", "goBoolFlag", "wrapFlagValue", "PFlagFromGoFlag",
			"FlagSet.AddGoFlag", "FlagSet.AddGoFlagSet", "FlagSet.CopyToGoFlagSet", "ParseSkippedFlags"),
		swap("flag.go", "addedGoFlagSets []*goflag.FlagSet", ""),
		swap("flag.go", "if f.addedGoFlagSets != nil {\n\t\tfor _, goFlagSet := range f.addedGoFlagSets {\n\t\t\tgoFlagSet.Parse(nil)\n\t\t}\n\t}\n", ""),
	}},

	{"github.com/klauspost/compress", []edit{
		// Random padding, so that sizes tell nothing: without crypto/rand, which
		// brings all of FIPS 140. Who asks for it gets an error. Saved: 163,840.
		swap("s2/writer.go", "randSrc:     rand.Reader,", ""),
		swap("s2/writer.go", "if total < skippableFrameHeader {",
			`if r == nil { return dst, errors.New("s2: padding needs WriterPaddingSrc: built without crypto/rand") }; if total < skippableFrameHeader {`),
		swap("zstd/encoder_options.go", "o.pad = n\n", "if n > 0 { return fmt.Errorf(\"padding is not supported: built without crypto/rand\") }\n"),
		swap("zstd/encoder.go", "(s.filling[:0], add, rand.Reader)", "(s.filling[:0], add, nil)"),
		swap("zstd/encoder.go", "(js.filling[:0], add, rand.Reader)", "(js.filling[:0], add, nil)"),
		swap("zstd/encoder.go", "(dst, add, rand.Reader)", "(dst, add, nil)"),

		// The two slowest levels, and dictionaries, of the encoder. Who asks for
		// them gets an error. Saved: 65,536.
		swap("zstd/encoder_options.go", "o.dict = d\n\t\treturn nil", "_ = d; return errNoDict"),
		swap("zstd/encoder_options.go", "o.dict = &dict{id: id, content: content, offsets: [3]int{1, 4, 8}}\n\t\treturn nil", "return errNoDict"),
		swap("zstd/encoder_options.go", "// WithEncoderDictRaw registers", "var errNoDict = errors.New(\"zstd: no dictionaries in the encoder: built without\")\n\n// WithEncoderDictRaw registers"),
		swap("zstd/encoder_options.go", "case l <= speedNotSet || l >= speedLast:", "case l <= speedNotSet || l > SpeedDefault:"),
		swap("zstd/encoder_options.go", "\t\tif o.dict != nil {\n\t\t\treturn &fastEncoderDict{fastEncoder: fastEncoder{fastBase: fastBase{maxMatchOff: int32(o.windowSize), bufferReset: math.MaxInt32 - int32(o.windowSize*2), lowMem: o.lowMem}}}\n\t\t}\n", ""),
		swap("zstd/encoder_options.go", "\t\tif o.dict != nil {\n\t\t\treturn &doubleFastEncoderDict{fastEncoderDict: fastEncoderDict{fastEncoder: fastEncoder{fastBase: fastBase{maxMatchOff: int32(o.windowSize), bufferReset: math.MaxInt32 - int32(o.windowSize*2), lowMem: o.lowMem}}}}\n\t\t}\n", ""),
		swap("zstd/encoder_options.go", "\tcase SpeedBetterCompression:\n\t\tif o.dict != nil {\n\t\t\treturn &betterFastEncoderDict{betterFastEncoder: betterFastEncoder{fastBase: fastBase{maxMatchOff: int32(o.windowSize), bufferReset: math.MaxInt32 - int32(o.windowSize*2), lowMem: o.lowMem}}}\n\t\t}\n\t\treturn &betterFastEncoder{fastBase: fastBase{maxMatchOff: int32(o.windowSize), bufferReset: math.MaxInt32 - int32(o.windowSize*2), lowMem: o.lowMem}}\n\tcase SpeedBestCompression:\n\t\treturn &bestFastEncoder{fastBase: fastBase{maxMatchOff: int32(o.windowSize), bufferReset: math.MaxInt32 - int32(o.windowSize*2), lowMem: o.lowMem}}\n", ""),

		// Streams that goroutines decode, streams that are encoded, dictionaries.
		// Who asks for such a stream gets an error. Saved: 24,544.
		cut("zstd/decoder.go", "Decoder.startStreamDecoder"),
		swap("zstd/decoder.go", "\tif o.concurrent == 1 {\n\t\treturn d.startSyncDecoder(r)\n\t}\n\n\td.current.output = make(chan decodeOutput, o.concurrent)\n\tctx, cancel := context.WithCancel(context.Background())\n\td.current.cancel = cancel\n\td.streamWg.Add(1)\n\tgo d.startStreamDecoder(ctx, r, d.current.output)\n\n\treturn nil\n",
			"\tif o.concurrent != 1 {\n\t\td.current.err = errors.New(\"zstd: a stream needs WithDecoderConcurrency(1): built without others\")\n\t\td.current.flushed = true\n\t\treturn d.current.err\n\t}\n\treturn d.startSyncDecoder(r)\n"),
		swap("zstd/decoder.go", "//ASYNC:\n", "d.current.err = io.ErrUnexpectedEOF; return false // there is no stream\n"),
		cut("zstd/decoder_options.go", "WithDecoderDicts", "WithDecoderDictRaw"),
		swap("zstd/decoder.go", "\tdict, ok := frame.o.dicts[frame.DictionaryID]\n\tif ok {\n\t\tif debugDecoder {\n\t\t\tprintln(\"setting dict\", frame.DictionaryID)\n\t\t}\n\t\tframe.history.setDict(dict)\n\t} else if", "\tif"),
		swap("zstd/encoder.go", "e.Reset(w)\n\t}\n\treturn &e, nil", "return nil, errors.New(\"zstd: no streams in the encoder: built without\")\n\t}\n\treturn &e, nil"),
		swap("zstd/enc_base.go", "\tif d != nil {\n\t\tlow := e.lowMem\n\t\tif singleBlock {\n\t\t\te.lowMem = true\n\t\t}\n\t\te.ensureHist(d.ContentSize() + maxCompressedBlockSize)\n\t\te.lowMem = low\n\t}\n", ""),
		swap("zstd/enc_base.go", "\tif d != nil {\n\t\t// Set offsets (currently not used)\n\t\tfor i, off := range d.offsets {\n\t\t\te.blk.recentOffsets[i] = uint32(off)\n\t\t\te.blk.prevRecentOffsets[i] = e.blk.recentOffsets[i]\n\t\t}\n\t\t// Transfer litenc.\n\t\te.blk.dictLitEnc = d.litEnc\n\t\te.blk.coders.seedPrevFromDict(d)\n\t\te.hist = append(e.hist, d.content...)\n\t}\n", ""),

		// One block by itself is encoded as if others could follow: the same
		// bytes, and a second copy of the algorithm less. Saved: 5,524.
		swap("zstd/enc_dfast.go", "func (e *doubleFastEncoder) EncodeNoHist(blk *blockEnc, src []byte) {",
			"func (e *doubleFastEncoder) EncodeNoHist(blk *blockEnc, src []byte) { e.Encode(blk, src) }; func (e *doubleFastEncoder) encodeNoHist(blk *blockEnc, src []byte) {"),

		// The text of an index, and messages that only a constant turns on:
		// without encoding/json and log. Saved: 24,576.
		cut("s2/index.go", "Index.JSON"),
		swap("zstd/zstd.go", "log.Println(a...)", ""),
		swap("zstd/zstd.go", "log.Printf(format, a...)", ""),
	}},
}
