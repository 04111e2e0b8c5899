"""Every command-line option, declared once, with the heading under which `--help` shows it."""

from roofcalc.cli.deployment_options import ASSUMPTIONS as ASSUMPTIONS
from roofcalc.cli.deployment_options import HOST as HOST
from roofcalc.cli.deployment_options import LAYOUT as LAYOUT
from roofcalc.cli.deployment_options import PRECISION as PRECISION
from roofcalc.cli.deployment_options import SEARCHED_LAYOUT as SEARCHED_LAYOUT
from roofcalc.cli.deployment_options import WHAT_IF as WHAT_IF
from roofcalc.cli.option import Option, named
from roofcalc.deployment.assumptions import CHOICES


def _choices(name: str) -> str:
    return "|".join(CHOICES[name])


def _argument(name: str, help: str, default: str = "", required: bool = True, many: bool = False, metavar: str = "") -> Option:
    return Option(name, "", "Arguments", help, default, metavar=metavar, many=many, required=required)


MACHINES = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm), to compare; one or more.", many=True)
MODEL = _argument("model", "Catalog names, aliases, YAML files, config.json files or their folders; comma-separated.")
HARDWARE = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm); comma-separated.")
ENGINE_LINE = _argument("line", "The command line that starts an engine, in quotes: 'vllm serve MODEL --tensor-parallel-size 4'.")
OPTIONAL_HARDWARE = _argument("hardware", "[N x]device, systems or YAML files; optional.", required=False)
DEVICES_OR_MACHINES = _argument(
    "hardware", "Devices, used in any number, or machines (8xh100-sxm, systems), used as whole units; one or more.", many=True
)

WORKLOAD = "Workload"
_SEQ = "1k:128k:x2 up to the model's context"
SEQ = Option(
    "seq",
    "--seq",
    WORKLOAD,
    "Context lengths in tokens: 7661; a list 775,7661; a range 1k:64k:x2 or 1k:8k:1k; 4k is 4000, 4Ki is 4096.",
    _SEQ,
    metavar="TOKENS",
)
NEW_TOKENS = SEQ._replace(help="Prompt tokens to compute per sequence: 7661; a list 775,7661; a range 1k:64k:x2 or 1k:8k:1k.")
SEARCH_SEQ = SEQ._replace(help="Context lengths in tokens; each is a separate search.", default="8k")
INTERACTIVITY = Option("interactivity", "--interactivity", WORKLOAD, "Minimum speed per user, in tok/s; 0: no limit.", "30", metavar="TOK/S")
ROLLOUT_INTERACTIVITY = INTERACTIVITY._replace(help="Minimum decode speed per rollout, in tok/s.", default="none: the largest batch that fits")
BATCH = Option("batch", "--batch", WORKLOAD, "Sequences processed concurrently by the whole system.", "1", metavar="N")
BATCHES = BATCH._replace(default="1:256:x2")
REPORT_BATCHES = BATCH._replace(help="Batch sizes of the memory and interactivity charts.", default="1,8,64")
SEARCH_BATCHES = BATCH._replace(default="1, 2, 3, 4, 6, 8, 12, ... per data-parallel rank, and the largest that fits")
VARIANT = Option(
    "variant",
    "--variant",
    WORKLOAD,
    "Change to the model's attention: window=1024:5of6, chunk=8192:3of4, kv_heads=1, mla=512, top_k=2048, linear=lightning:7of8, "
    "shared:1of2, kv=fp8; comma-separated changes combine. Repeatable.",
    metavar="CHANGE",
    many=True,
)
PHASE = Option("phase", "--phase", WORKLOAD, "Decode step or prefill.", "decode", metavar="decode|prefill")
PER_LAYER = Option("per_layer", "--per-layer", WORKLOAD, "One row per layer, instead of one row per group of identical layers.", kind=bool)
LAW = Option("law", "--law", WORKLOAD, "Scaling law of the training loss.", "both", metavar="hoffmann|besiroglu")
TRAIN_FLOP_RATIO = Option(
    "train_flop_ratio", "--train-flop-ratio", WORKLOAD, "Training FLOPs relative to compute-optimal training: 100, 1:1k:x10.", "100", metavar="RATIO"
)
PARAMS_RATIO = Option(
    "params_ratio", "--params-ratio", WORKLOAD, "Instead: parameters relative to the compute-optimal model, such as 0.125.", metavar="FRACTION"
)
PARAMS = Option("params", "--params", WORKLOAD, "Parameters of the compute-optimal model; adds the break-even point.", metavar="N")
OPTIMAL_TOKENS = Option(
    "pretrain_tokens", "--pretrain-tokens", WORKLOAD, "Training tokens of the compute-optimal model.", "the law's optimum", metavar="TOKENS"
)
TTFT = Option("ttft", "--ttft", WORKLOAD, "Maximum time to first token, instead of --interactivity.", metavar="SECONDS")
MAX_TTFT = Option("ttft", "--ttft", WORKLOAD, "Maximum time to first token.", metavar="SECONDS")
TTFT_PERCENTILE = Option(
    "ttft_percentile",
    "--ttft-percentile",
    WORKLOAD,
    "Percentile of the time to first token that --ttft limits, for requests that arrive at random times; with --requests-per-second.",
    "the mean",
    metavar="50|90|95|99",
)
MAX_LATENCY = Option(
    "max_latency", "--max-latency", WORKLOAD, "Maximum mean time from arrival to last token; with --isl and --osl, or --mix.", metavar="SECONDS"
)
GENERATION = (
    Option("isl", "--isl", WORKLOAD, "Input tokens (the prompt) per request; with --osl, instead of --seq.", metavar="TOKENS"),
    Option("osl", "--osl", WORKLOAD, "Output tokens per request.", metavar="TOKENS"),
    Option("kv_at", "--kv-at", WORKLOAD, "KV cache length that must fit: at the end of the generation, or its mean.", "end", metavar="end|mean"),
)
(KV_AT,) = named(GENERATION, "kv_at")
LOAD = (
    Option("mix", "--mix", WORKLOAD, "Request mix instead of --isl and --osl: a file of `isl:osl weight` lines.", metavar="FILE"),
    Option(
        "requests_per_second",
        "--requests-per-second",
        WORKLOAD,
        "Load on the whole system, in requests per second; instead of --batch.",
        metavar="RATE",
    ),
)
(REQUESTS_PER_SECOND,) = named(LOAD, "requests_per_second")
PLAN_GOODPUT = Option(
    "goodput",
    "--goodput",
    WORKLOAD,
    "Share of requests that meet --ttft and --interactivity; with --requests-per-second, --isl and --osl.",
    kind=bool,
)
GOODPUT = (
    Option("goodput", "--goodput", WORKLOAD, "Share of requests that meet --ttft and --interactivity; with --requests-per-second.", kind=bool),
    Option("ttft", "--ttft", WORKLOAD, "Limit of --goodput on the time to first token.", metavar="SECONDS"),
    INTERACTIVITY._replace(help="Limit of --goodput on the speed of a request, in tok/s."),
)
CHUNK = Option("chunk", "--chunk", WORKLOAD, "Maximum tokens per prefill chunk.", "the whole prompt", metavar="TOKENS")
RANGE = Option(
    "range",
    "--range",
    WORKLOAD,
    "In typical: low and high figures that contain this percentage of the measured runs of this kind.",
    "none",
    kind=float,
    metavar="PERCENT",
)
REPORT_RANGE = RANGE._replace(default="80 in typical")
ARRIVALS = Option(
    "arrivals",
    "--arrivals",
    WORKLOAD,
    "How the requests in flight come: each as another one ends, or all at once, as benchmarks send them; with --isl and --osl.",
    "staggered",
    metavar=_choices("arrivals"),
)
CACHED = Option("cached", "--cached", WORKLOAD, "Tokens of each sequence already in the KV cache (prefix caching).", "0", metavar="TOKENS")
TENANTS = (
    Option(
        "images",
        "--images",
        WORKLOAD,
        "Images of every prompt: 2@1024x1024, whose tokens follow the family's rule, or 2@1500 with tokens; they add to --isl or --seq.",
        "none",
        metavar="COUNT@SIZE",
    ),
    Option("lora", "--lora", WORKLOAD, "LoRA adapters: rank=16,count=40, with on=attention or on=linear.", "none", metavar="RANK,COUNT"),
)
SPECULATION = (
    Option("draft", "--draft", WORKLOAD, "Speculative decoding: tokens drafted per step.", "with --mtp: the model's MTP depth", metavar="TOKENS"),
    Option("acceptance", "--acceptance", WORKLOAD, "Probability that a drafted token is accepted; has no default.", kind=float, metavar="RATE"),
    Option("accepted", "--accepted", WORKLOAD, "Instead: mean tokens accepted per step, the target's own included.", kind=float, metavar="TOKENS"),
    Option(
        "drafter",
        "--drafter",
        WORKLOAD,
        "What drafts: an EAGLE head with the target's shapes, or n-gram lookup, which takes no time.",
        "none: drafting is free",
        metavar="eagle|ngram",
    ),
    Option("draft_model", "--draft-model", WORKLOAD, "Smaller model that drafts.", "none", metavar="MODEL"),
    Option("mtp", "--mtp", WORKLOAD, "Draft with the model's own multi-token-prediction layer.", kind=bool),
)
SHARED_PREFIX = Option(
    "shared_prefix",
    "--shared-prefix",
    WORKLOAD,
    "Tokens that all contexts begin with, such as a system prompt: cached once per data-parallel rank; included in --seq and --isl.",
    "0",
    metavar="TOKENS",
)
HIT_RATE = Option(
    "hit_rate",
    "--hit-rate",
    WORKLOAD,
    "Fraction of a prompt after the shared prefix that is found in the KV cache (prefix caching).",
    "0",
    float,
    "FRACTION",
)
CACHING = (SHARED_PREFIX, HIT_RATE)
QUERY = Option(
    "query", "--query", WORKLOAD, "Tokens of a query, such as 140:7661. Repeatable; the first is the reference.", metavar="PROMPT:OUTPUT", many=True
)
STREAMS = Option("streams", "--streams", WORKLOAD, "Answers sampled per query.", "1,5", metavar="N")
PREFIX = Option("prefix", "--prefix", WORKLOAD, "Prompt tokens shared by the streams of a query.", metavar="TOKENS")
SUFFIX = Option("suffix", "--suffix", WORKLOAD, "Tokens of each stream after the shared prefix.", metavar="TOKENS")
ACCURACY = Option("accuracy", "--accuracy", WORKLOAD, "Probability that a single answer is correct.", metavar="CHANCE")
VERIFIER = Option("verifier", "--verifier", WORKLOAD, "Model that scores every answer, on separate machines of the same kind.", metavar="MODEL")
RECALL = Option("recall", "--recall", WORKLOAD, "Probability that the verifier accepts a correct answer.", "1", metavar="CHANCE")
FALSE_POSITIVE = Option(
    "false_positive", "--false-positive", WORKLOAD, "Probability that the verifier accepts a wrong answer.", "0", metavar="CHANCE"
)
ROLLOUTS = (
    Option("problems", "--problems", WORKLOAD, "Number of distinct problems (prompts).", "10M", metavar="N"),
    Option("rollouts", "--rollouts", WORKLOAD, "Trajectories per problem.", "3000", metavar="N"),
    Option("tokens", "--tokens", WORKLOAD, "Tokens per trajectory after the shared prefix.", "8000", metavar="TOKENS"),
    Option("prefix", "--prefix", WORKLOAD, "Prompt tokens shared by the rollouts of a problem.", "0", metavar="TOKENS"),
    Option("kept", "--kept", WORKLOAD, "Fraction of the generated tokens that is trained on.", "1", metavar="FRACTION"),
    Option("verifier_passes", "--verifier-passes", WORKLOAD, "Forward passes of the model over all generated tokens.", "1", metavar="N"),
    Option("reward_model", "--reward-model", WORKLOAD, "Reward model that reads all generated tokens.", "none", metavar="MODEL"),
    Option("forwards_per_backward", "--forwards-per-backward", WORKLOAD, "Forward passes per backward pass in training.", "1", metavar="N"),
    Option("pretrain_tokens", "--pretrain-tokens", WORKLOAD, "Pre-training tokens to compare with.", "15.6e12, as Llama 3", metavar="TOKENS"),
)
TOKENS = Option("tokens", "--tokens", WORKLOAD, "Length of a generation.", "1k:100k:x10", metavar="TOKENS")
ERROR_RATE = Option("error_rate", "--error-rate", WORKLOAD, "Silent data errors per device-hour.", "2.8e-7, from Llama 3's training", metavar="RATE")
FAILURE_RATE = Option("failure_rate", "--failure-rate", WORKLOAD, "Failures per device-hour.", "1.9e-5, from Llama 3's training", metavar="RATE")
VOTES = Option("streams", "--streams", WORKLOAD, "Generations per majority vote.", "5", metavar="N")

PRICES = "Prices"
USD_PER_HOUR = Option(
    "usd_per_hour", "--usd-per-hour", PRICES, "Price of one device for an hour, in USD.", "latest on-demand price in the price list", metavar="USD"
)
OWNED = (
    Option("capex", "--capex", PRICES, "Instead: purchase price of one device, with its share of the machine; with --years.", metavar="USD"),
    Option("years", "--years", PRICES, "Years over which the purchase price is spread.", metavar="YEARS"),
    Option("power_price", "--power-price", PRICES, "Price of electrical energy, for the nominal power.", metavar="USD/KWH"),
    Option("pue", "--pue", PRICES, "Power usage effectiveness of the building: facility over IT energy.", "1", metavar="RATIO"),
)
PAID_LOAD = Option("load", "--load", PRICES, "Share of the paid capacity that is used: 0.3; a list or range.", "1", metavar="SHARE")
IDLE_POWER = Option("idle_power", "--idle-power", PRICES, "Power of an idle machine over the nominal, for loads below 1.", "0.15", metavar="SHARE")
API = Option("api", "--api", PRICES, "Hosted models to compare with, by the names in models/api_prices.csv: one, or one per query.", metavar="API")
PRICE_IN = Option("price_in", "--price-in", PRICES, "API price per million input tokens: one, or one per query.", metavar="USD")
PRICE_OUT = Option("price_out", "--price-out", PRICES, "API price per million output tokens: one, or one per query.", metavar="USD")

SEARCH = "Search"
SIZES = Option("devices", "--devices", SEARCH, "System sizes to search: 8, 1:64:1.", "the hardware as given", metavar="N")
DISAGGREGATED = Option("disaggregated", "--disaggregated", SEARCH, "Separate prefill and decode pools; needs --isl and --osl.", kind=bool)
ALL_POINTS = Option("all", "--all", SEARCH, "Include dominated points, not only the Pareto frontier.", kind=bool)
LEAST = Option("least", "--least", SEARCH, "Objective: fewest devices, or lowest cost.", "devices", metavar="devices|usd")
AVAILABLE = Option("devices", "--devices", SEARCH, "Available device counts: 64, 8:64:8.", "any", metavar="N")
LAYOUTS = Option(
    "layouts",
    "--layouts",
    SEARCH,
    "Layouts to propose: those that are usually run (a power of two of tensor ranks within a scale-up domain, pipeline stages only between "
    "domains, replicas before wider replicas), or the fewest devices of all.",
    "usual",
    metavar="usual|all",
)
SPARE = Option("spare", "--spare", SEARCH, "Device failures to tolerate; each takes down its replica.", "0", metavar="N")

_OUTPUT = "Output"
SERVE = Option(
    "serve",
    "--for",
    _OUTPUT,
    "Also print the command line that serves each row: vllm, sglang, trtllm-serve, llama-server, or docker-vllm and so on.",
    metavar="SERVER",
)
OUTPUT = (
    Option("format", "--format|-f", _OUTPUT, "Output format.", "table, or by the suffix of --output", metavar="table|csv|json|md"),
    Option("output", "--output|-o", _OUTPUT, "Write atomically to FILE; - is standard output.", metavar="FILE"),
    Option(
        "columns",
        "--columns",
        _OUTPUT,
        "Print only these columns, in this order: names (`roofcalc columns COMMAND` lists them) or words of the header.",
        metavar="A,B",
    ),
    Option("unit", "--unit", _OUTPUT, "Memory in tables: GB is 10^9 bytes, GiB 2^30; csv and json keep GB.", "gb", metavar="gb|gib"),
    Option(
        "require",
        "--require",
        _OUTPUT,
        "Exit with code 3 unless every row meets the condition: 'max_batch>=64'. Repeatable.",
        metavar="CONDITION",
        many=True,
    ),
    Option("quiet", "--quiet|-q", _OUTPUT, "Suppress notes on stderr.", kind=bool),
)
QUIET = named(OUTPUT, "quiet")
TEXT_OUTPUT = (
    Option("format", "--format|-f", _OUTPUT, "Output format.", "text, or by the suffix of --output", metavar="text|md"),
    *named(OUTPUT, "output", "quiet"),
)
PLOT_OUTPUT = (
    Option("output", "--output|-o", _OUTPUT, "Write atomically to FILE.svg, .png or .pdf; - prints SVG.", metavar="FILE"),
    *QUIET,
)
PAGE_OUTPUT = (Option("output", "--output|-o", _OUTPUT, "Write atomically to FILE; - is standard output.", metavar="FILE.html"), *QUIET)
YAML_OUTPUT = (Option("output", "--output|-o", _OUTPUT, "Write atomically to FILE; - is standard output.", metavar="FILE.yaml"), *QUIET)
JUNIT = Option("junit", "--junit", _OUTPUT, "Also write the results as JUnit XML, atomically.", metavar="FILE")

CHECK_FILE = _argument("file", "YAML file of checks.")
COLUMNS_OF = _argument("command", "Command whose columns to list.", "all", required=False)

FILTERS = "Filters"
MODEL_NAMES = _argument("model", "Catalog names, aliases or YAML files; one or more.", many=True)
HARDWARE_NAMES = _argument("hardware", "[N x]device, systems or YAML files (8xh100-sxm); one or more.", many=True)
FILES = _argument("files", "YAML files, or directories of them.", "the built-in catalogs and those in ROOFCALC_PATH", required=False, many=True)
FAMILY = Option("family", "--family", FILTERS, "Only these families, as the entries name them; comma-separated.", metavar="A,B")
SORT = Option("sort", "--sort", FILTERS, "Sort by this column; numbers descending.", metavar="COLUMN")
YAML = Option("yaml", "--yaml", _OUTPUT, "Print one entry as a complete file, to copy and edit.", kind=bool)
SEARCHED = _argument("search", "Words of a name, alias, title, family or vendor.", required=False)
HARDWARE_FILTERS = (
    SEARCHED,
    Option("vendor", "--vendor", FILTERS, "Only these vendors, of the system or of its devices.", metavar="A,B"),
    FAMILY,
    Option("kind", "--kind", FILTERS, "Only devices, or only systems.", metavar="device|system"),
    Option("dtype", "--dtype", FILTERS, "Only entries with a peak in all these formats.", metavar="FORMAT"),
    Option("min_memory_gb", "--min-memory-gb", FILTERS, "Minimum nominal memory of an entry, over all its devices.", metavar="GB"),
    Option("systems", "--systems", FILTERS, "Only systems, with the CPUs and memory of their hosts.", kind=bool),
    SORT,
)
MODEL_FILTERS = (
    SEARCHED,
    FAMILY,
    Option("publisher", "--publisher|--vendor", FILTERS, "Only these publishers; comma-separated.", metavar="A,B"),
    Option("kind", "--kind", FILTERS, "Only this kind of model.", metavar="dense|moe|hybrid|recurrent"),
    SORT,
)
CONFIG = _argument("path", "A Hugging Face config.json, or the folder that contains it.")
MODEL_NAME = Option("name", "--name", _OUTPUT, "Name of the model.", "from the file or folder", metavar="NAME")

MEASUREMENTS = "Measurements"
POINTS_FILE = _argument(
    "file",
    "CSV file of measured points; or a result (or a folder of results) of vllm bench serve, sglang.bench_serving, AIPerf, GenAI-Perf, GuideLLM, "
    "llama-bench or InferenceX.",
)
_RESULTS = "Result files"
RUN = (
    Option("model", "--model", _RESULTS, "Model that was measured.", "as the file says", metavar="NAME"),
    Option("hardware", "--hardware", _RESULTS, "Hardware that it ran on: 8xh100-sxm.", "as the file says", metavar="NAME"),
    Option("engine", "--engine", _RESULTS, "Engine that served it.", "as the file says", metavar="NAME"),
    Option("weights", "--weights", _RESULTS, "Weights that it served.", "as the model's name says", metavar="RECIPE"),
    Option("kv", "--kv", _RESULTS, "Dtype of its KV cache.", "unknown", metavar="DTYPE"),
    Option("tp", "--tp", _RESULTS, "Its tensor-parallel degree.", "unknown", metavar="N"),
    Option("pp", "--pp", _RESULTS, "Its pipeline-parallel degree.", "unknown", metavar="N"),
    Option("dp", "--dp", _RESULTS, "Its data-parallel degree.", "unknown", metavar="N"),
    Option("ep", "--ep", _RESULTS, "Its expert-parallel degree.", "unknown", metavar="N"),
    Option("replicas", "--replicas", _RESULTS, "Independent copies of the model among the devices.", "1", metavar="N"),
    Option("isl", "--isl", _RESULTS, "Input tokens per request.", "as the file says", metavar="TOKENS"),
    Option("osl", "--osl", _RESULTS, "Output tokens per request.", "as the file says", metavar="TOKENS"),
    Option("batch", "--batch", _RESULTS, "Requests in flight.", "as the file says", metavar="N"),
    Option("draft", "--draft", _RESULTS, "Tokens drafted per step of speculative decoding.", "as the file says", metavar="N"),
    Option("accepted", "--accepted", _RESULTS, "Mean tokens per step of speculative decoding.", "as the file says", metavar="TOKENS"),
)
SUMMARY = Option("summary", "--summary", MEASUREMENTS, "Summarise by engine, metric, kind of model, device and source.", kind=bool)
STRICT = Option("strict", "--strict", MEASUREMENTS, "Exit code 2 if a row cannot be read or compared, instead of leaving it out.", kind=bool)
LOGGED_STARTS = Option("memory", "--memory", MEASUREMENTS, "The file holds engine starts: weights, caches, tokens, concurrency.", kind=bool)
MEASURED_POINTS = Option(
    "points", "--points", MEASUREMENTS, "CSV file of measured points to draw, those of the frontier's models or else all.", metavar="FILE"
)
FIT_NAMES = _argument(
    "given",
    "CSV file of measured points; a result file of a benchmark client, or a folder of them; or, with --point, a model and hardware.",
    many=True,
    metavar="FILE",
)
FIT = (
    Option(
        "point",
        "--point",
        MEASUREMENTS,
        "Measured point: seq=7661,batch=72,interactivity=30 (or isl and osl). Repeatable.",
        metavar="VALUES",
        many=True,
    ),
    Option("fix", "--fix", MEASUREMENTS, "Hold parameters fixed: mbu=0.8,layer_us=20. Repeatable.", metavar="NAME=VALUE", many=True),
    Option("by", "--by", MEASUREMENTS, "A separate fit per group.", "one fit for all points", metavar="hardware|model|kind|source"),
    Option("residuals", "--residuals", MEASUREMENTS, "Print the points against the fit, not the parameters.", kind=bool),
    Option(
        "save_profile", "--save-profile", MEASUREMENTS, "Write the fitted efficiencies to FILE, for --profile of every command.", metavar="FILE.yaml"
    ),
    *(one for one in RUN if one.name in ("model", "hardware")),
)
