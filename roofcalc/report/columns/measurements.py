"""Columns of validate, fit and check."""

from roofcalc.report.columns.shared import ASSUMED, BATCH, CASE, DEGREES, FITS, KV_TOKENS, MAX_CONCURRENCY, SEQ, WHERE_GIVEN
from roofcalc.report.table import Column

_LOG_ERROR = "of |ln(predicted / measured)| over the points"
_P90 = Column("p90_error", "90 % within", "", "90th percentile of the errors whose median is median_error", "number", 9)
_GROUP = (
    Column("by", "by", "", "property by which the points are grouped", "text", 9),
    Column("name", "group", "", "its value", "any", 9),
)
_ISL, _OSL = (column._replace(keep=5, role="result") for column in WHERE_GIVEN[:2])
_KEEP = {"tp": 3, "pp": 2, "dp": 2, "ep": 2}

_POINT = (
    Column("id", "point", "", "identifier of the point in its file", "text", 9),
    *CASE,
    *(column._replace(keep=_KEEP[column.name]) for column in DEGREES if column.name in _KEEP),
    Column("n_devices", "devices", "", "devices to which the value and batch refer, where they are part of a larger unit", "count", 1),
    _ISL,
    _OSL,
    BATCH._replace(keep=6),
    Column("metric", "metric", "", "measured quantity and its unit", "text", 9),
)
_MEASURED = Column("measured", "measured", "", "measured value, in the unit of the metric", "number", 9)
_RATIO = Column("ratio", "", "", "measured speed / calculated speed; below 1 the calculation is too fast", "number", 9)

VALIDATE = (
    *_POINT,
    _MEASURED,
    Column("bound", "bound", "", "prediction of the bound preset: no engine is faster, however its tokens are routed", "number", 7),
    Column("roofline", "roofline", "", "prediction of the roofline preset", "number", 7),
    Column("predicted", "predicted", "", "prediction of the typical preset, or with --profile", "number", 8),
    _RATIO._replace(label="measured / typical speed"),
    Column("roofline_ratio", "measured / roofline speed", "", "achieved fraction of the roofline's speed", "number", 9),
    Column("bound_ratio", "measured / bound speed", "", "achieved fraction of the bound's speed; never above 1", "number", 9),
    Column("why_not", "why not", "", "reason why the point is not compared", "text", 8),
    FITS._replace(keep=1),
    Column("bound_skewed", "bound, skewed routing", "", "the bound, where the model has routed experts", "number", 1),
    Column("bound_skewed_ratio", "measured / bound speed, skewed routing", "", "bound_ratio, where the model has routed experts", "number", 1),
    Column("source", "source", "", "publisher of the measurement", "text", 1),
    Column("bound_uniform", "bound, uniform routing", "", "prediction of the bound if tokens chose experts by uniform chance", "number", 1),
    Column("bound_uniform_ratio", "measured / bound speed, uniform routing", "", "measured speed / that bound; may exceed 1", "number", 1),
    Column("measured_engine", "engine", "", "engine that was measured", "text", 1),
    *(one._replace(role="result") for one in WHERE_GIVEN if one.name in ("draft", "acceptance")),
    Column("itl", "between tokens", "", "speeds of one user: of a decode step (step), or of a request with the prompts of others (tpot)", "text", 1),
)
VALIDATE_SUMMARY = (
    *_GROUP,
    Column("points", "points", "", "number of points", "count", 8),
    Column("compared", "compared", "", "points that are compared", "count", 9),
    Column("beat_bound", "beat the bound", "", "points faster than the bound", "count", 9),
    Column("worst_bound_ratio", "worst measured / bound", "", "largest achieved fraction of the bound's speed", "number", 7),
    Column("median_bound_ratio", "median measured / bound", "", "median achieved fraction of the bound's speed", "number", 9),
    Column("median_roofline_ratio", "median measured / roofline", "", "median achieved fraction of the roofline's speed", "number", 8),
    Column("median_typical_ratio", "median measured / typical", "", "median of measured / predicted speed, typical preset", "number", 9),
    Column("median_error", "median error", "", f"median {_LOG_ERROR}", "number", 8),
    Column("worst_error", "worst error", "", f"largest {_LOG_ERROR}", "number", 8),
    _P90,
    Column("median_bound_uniform_ratio", "median measured / bound, uniform routing", "", "median of measured speed / that bound", "number", 6),
    Column("beat_bound_uniform", "beat it, uniform routing", "", "points faster than the bound with uniform routing", "count", 6),
)

_LOGGED = (
    Column("weights_gib_per_device", "weights", "GiB", "weights on one device", "number", 8),
    Column("kv_cache_gib_per_device", "cache", "GiB", "KV cache on one device", "number", 8),
    KV_TOKENS._replace(kind="number", keep=8),
    MAX_CONCURRENCY._replace(keep=8),
)
VALIDATE_MEMORY = (
    _POINT[0]._replace(label="start"),
    *(one._replace(keep=9, role="result") for one in WHERE_GIVEN if one.name == "memory_rules"),
    *CASE,
    *(one for one in _POINT if one.name in ("tp", "pp", "dp")),
    Column("max_model_len", "length", "tokens", "maximum length of a sequence", "count", 5),
    *(one._replace(name=f"{one.name}_logged", label=f"{one.label} logged", meaning=f"{one.meaning}, logged") for one in _LOGGED),
    *_LOGGED,
    Column("activations_gib", "activations", "GiB", "calculated activations on one device", "number", 4),
    Column("runtime_gib", "runtime", "GiB", "calculated runtime on one device", "number", 4),
    Column("weights_error", "weights error", "", "calculated / logged weights - 1", "number", 8),
    Column("error", "error", "", "calculated / logged - 1 of concurrency, tokens or cache, the first that both have", "number", 9),
    Column("basis", "basis", "", "memory: cache calculated from the device's memory; cache: the logged cache, where no device is named", "text", 6),
    Column("fits", "fits", "", "whether it fits by the calculation", "flag", 9),
    Column("started", "started", "", "whether the engine started", "flag", 9),
    Column("cause", "cause", "", "reason for the difference, where it is known", "text", 7),
    *(one for one in VALIDATE if one.name in ("why_not", "source")),
)
VALIDATE_MEMORY_SUMMARY = (
    *_GROUP,
    *(one for one in VALIDATE_SUMMARY if one.name in ("points", "compared")),
    Column("median_error", "median error", "", "median of |error| of concurrency, tokens or cache", "number", 9),
    _P90,
    Column("within_30", "within 30 %", "", "fraction of the compared starts with an error of at most 30 %", "number", 8),
    Column("of_memory", "from memory", "", "starts whose cache is calculated from the device's memory", "count", 8),
    Column("median_error_of_memory", "median error from memory", "", "median of |error| over these", "number", 9),
    Column("p90_error_of_memory", "90 % within from memory", "", "90th percentile of |error| over these", "number", 9),
    Column("weights_compared", "weights compared", "", "starts with logged weights", "count", 6),
    Column("median_weights_error", "median weights error", "", "median of |weights error|", "number", 8),
    Column("p90_weights_error", "90 % of weights within", "", "90th percentile of |weights error|", "number", 8),
    Column("ran", "ran", "", "starts that ran", "count", 7),
    Column("ran_and_fit", "ran and fit", "", "starts that ran and fit by the calculation", "count", 7),
    Column("refused_but_fit", "refused but fit", "", "starts that the engine refused and that fit by the calculation", "count", 9),
)

_FITTED = (
    Column("mbu", "mbu", "", "achieved fraction of memory bandwidth", "number", 9),
    Column("mfu", "mfu", "", "achieved fraction of peak FLOP/s", "number", 9),
    Column("link", "link", "", "achieved fraction of link bandwidth", "number", 8),
    Column("latency_us", "latency", "us", "latency per collective, in addition to the time of its bytes", "number", 8),
    Column("layer_us", "layer", "us", "fixed overhead per layer", "number", 8),
    Column("step_us", "step", "us", "fixed overhead per step and pipeline stage", "number", 8),
)
FIT = (
    *_FITTED,
    Column("points", "points", "", "number of points", "count", 7),
    Column("median_error", "median error", "", f"median {_LOG_ERROR}", "number", 7),
    Column("worst_error", "worst error", "", f"largest {_LOG_ERROR}", "number", 7),
)
FIT_ASSUMED = tuple(one for one in ASSUMED if one.name not in ("mbu", "mfu", "link"))
FIT_ERRORS = tuple(
    Column(f"{one.name}_error", f"{one.label} ±", one.unit, f"standard deviation of {one.name}; empty where it is fixed or undetermined", "number", 5)
    for one in _FITTED
)
FIT_GROUP = (_GROUP[0]._replace(keep=1), _GROUP[1])
FIT_RESIDUALS = (
    *(one for one in _POINT if one.name in ("id", "model", "hardware", "weights", "kv", "tp", "pp", "dp", "ep")),
    SEQ._replace(keep=6),
    *(one for one in _POINT if one.name in ("isl", "osl", "batch", "metric")),
    _MEASURED,
    Column("fitted", "fitted", "", "value with the fitted parameters, in the unit of the metric", "number", 9),
    _RATIO._replace(label="measured / fitted speed"),
)

CHECK = (
    Column("name", "check", "", "name of the check in its file", "text", 9),
    Column("expected", "expected", "", "condition on a column of the result", "text", 9),
    Column("got", "got", "", "observed value(s)", "any", 9),
    Column("ok", "ok", "", "whether the condition holds", "flag", 9),
)
