"""A network: layers, a loss, and all parameters in one vector."""

import json
import os
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mibun.errors import FormatError, InputError
from mibun.learn import layers as _layers
from mibun.learn.bounds import Array
from mibun.learn.layers import BlackBox, Conv2D, Dense, Elementwise, Layer, Shape, Weights, size_of
from mibun.learn.losses import Loss, PerSampleLoss, SoftmaxCrossEntropy, SumSquaredError, Targets

__all__ = ["FORMAT_VERSION", "UNREADABLE", "Network"]

#: Version of the files that `Network.save` writes.
FORMAT_VERSION = 1
#: Samples that `predict`, `loss` and `accuracy` push through at once, so that what they need stays in the cache.
CHUNK = 500

_SAVED_LAYERS: dict[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        _layers.AvgPool2D,
        Conv2D,
        Dense,
        _layers.Dropout,
        _layers.Flatten,
        _layers.Identity,
        _layers.MaxPool2D,
        _layers.ReLU,
        _layers.Sigmoid,
        _layers.StepFunction,
        _layers.Tanh,
    )
}
_SAVED_LOSSES: dict[str, type[Loss]] = {
    "SoftmaxCrossEntropy": SoftmaxCrossEntropy,
    "SumSquaredError": SumSquaredError,
}

#: What NumPy and zipfile raise for files that are damaged or of another kind.
UNREADABLE = (ValueError, OSError, EOFError, TypeError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Network:
    """Layers one after the other, a loss, and the parameters that training changes.

    Parameters
    ----------
    layers
        Layer values such as `Dense(784, 50)` and `Sigmoid()`, in the order of the data.
    loss
        `SoftmaxCrossEntropy()` (the default), `SumSquaredError()`, or a function of (outputs, targets) that gives
        one number for each sample (see `PerSampleLoss`).
    seed
        Seed of the random weights: an integer of at least 0.
    dtype
        `np.float64` or `np.float32`: of the parameters and of everything that is computed from them.
    input_shape
        The shape of one sample, such as (1, 28, 28) for images; needed where the first layers take images. Samples
        may then come as images, without the axis of a single channel, or as rows of all pixels.

    Attributes
    ----------
    layers : tuple of layers
    shapes : tuple
        The shape of a sample before each layer, and after the last; None where no layer fixes it.
    loss_function : the loss
    dtype : numpy dtype
    vector : ndarray of shape (number of parameters,)
        All parameters, live: engines read it and `train` writes it. `parameters` gives copies with names.

    Raises
    ------
    InputError
        If the layers do not fit on each other, or an option cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from mibun import learn
    >>> network = learn.Network([learn.Dense(2, 3), learn.Sigmoid(), learn.Dense(3, 2)], seed=0)
    >>> network
    Network(Dense(2, 3), Sigmoid(), Dense(3, 2); SoftmaxCrossEntropy(), 17 parameters, float64)
    >>> network.predict(np.array([[0.5, -0.5]])).sum(axis=1)  # probabilities
    array([1.])
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        loss: Loss | Callable[[Array, Targets], Array] | None = None,
        seed: int = 0,
        dtype: DTypeLike = np.float64,
        input_shape: Sequence[int] | None = None,
    ) -> None:
        self.layers, self.shapes = _checked_layers(layers, _checked_shape(input_shape))
        self.loss_function = _checked_loss(loss)
        self.dtype = _checked_dtype(dtype)
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(f"seed must be an integer of at least 0, not {seed!r}")
        self._places: dict[str, tuple[int, str, slice, tuple[int, ...]]] = {}
        self._place_parameters()
        rng = np.random.default_rng(seed)
        initial = [layer.initial(rng) for layer in self.layers]
        for (layer, name, _, _), view in zip(self._places.values(), self.views(self.vector).values(), strict=True):
            view[...] = initial[layer][name]

    def _place_parameters(self) -> None:
        start = 0
        for number, layer in enumerate(self.layers):
            for name, shape in layer.shapes().items():
                stop = start + int(np.prod(shape))
                self._places[f"{number}.{name}"] = (number, name, slice(start, stop), shape)
                start = stop
        self.vector: Array = np.zeros(start, self.dtype)

    def __repr__(self) -> str:
        layers = ", ".join(_brief(layer) for layer in self.layers)
        return f"Network({layers}; {self.loss_function!r}, {self.vector.size} parameters, {self.dtype})"

    # Parameters

    def views(self, vector: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Show a vector of the network's length as named arrays, without a copy.

        The units of a layer come first in memory (Fortran order): the gradient x.T @ upstream is then written
        in the order in which BLAS makes it, a quarter faster for the shapes of small networks.
        """
        return {name: vector[at].reshape(shape, order="F") for name, (_, _, at, shape) in self._places.items()}

    def by_layer(self, vector: Array) -> list[Weights]:
        """Show a vector as one dict of arrays for each layer, without a copy."""
        weights: list[Weights] = [{} for _ in self.layers]
        for layer, name, at, shape in self._places.values():
            weights[layer][name] = vector[at].reshape(shape, order="F")
        return weights

    @property
    def parameters(self) -> dict[str, Array]:
        """Copies of all parameters, by names such as `"0.weight"` (layer number, then parameter)."""
        return {name: np.array(view, order="C") for name, view in self.views(self.vector).items()}

    def with_parameters(self, parameters: Mapping[str, ArrayLike]) -> "Network":
        """Make a new network of the same layers with these parameters; this one stays as it is.

        Parameters
        ----------
        parameters
            An array for every name in `parameters`, of the same shape.

        Raises
        ------
        InputError
            If a name is missing or unknown, a shape differs, or a value is not a finite number.
        """
        if not isinstance(parameters, Mapping):
            raise InputError(f"parameters must be a dict of names and arrays, not {type(parameters).__name__}")
        other = self.copy()
        views = other.views(other.vector)
        missing, unknown = sorted(views.keys() - parameters.keys()), sorted(parameters.keys() - views.keys())
        if missing or unknown:
            raise InputError(
                f"parameters must have exactly the names {', '.join(views)}; "
                f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(map(str, unknown)) or 'none'}"
            )
        for name, view in views.items():
            given = _array(f"parameter {name!r}", parameters[name])
            if given.shape != view.shape:
                raise InputError(f"parameter {name!r} must have shape {view.shape}, not {given.shape}")
            with np.errstate(over="ignore"):  # a number too large for float32 becomes inf, and is refused
                if given.dtype.kind not in "fiu" or not np.isfinite(given.astype(self.dtype)).all():
                    raise InputError(
                        f"parameter {name!r} must hold finite real numbers that {self.dtype} can hold; "
                        f"given {given.dtype} values"
                    )
            view[...] = given
        return other

    def copy(self) -> "Network":
        """Make a network of the same layers with a copy of the parameters."""
        other = object.__new__(Network)
        other.__dict__.update(self.__dict__)
        other.vector = self.vector.copy()
        return other

    def in_float64(self) -> "Network":
        """Make the same network with a copy of the parameters in float64."""
        other = self.copy()
        other.dtype = np.dtype(np.float64)
        other.vector = self.vector.astype(np.float64)
        return other

    # What comes in

    @property
    def nonlinear_units(self) -> int:
        """Number of elementary evaluations of a sample's forward pass: units that are not linear in their input."""
        return sum(layer.evaluations(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))

    @property
    def products(self) -> list[int]:
        """Multiplications of a sample's forward pass in each layer that are part of matrix products."""
        return [layer.products(shape) for layer, shape in zip(self.layers, self.shapes, strict=False)]

    @property
    def inputs(self) -> int | None:
        """Number of inputs of a sample; None where no layer fixes it."""
        return size_of(self.shapes[0]) or None

    @property
    def outputs(self) -> int | None:
        """Number of outputs; None where no layer fixes it."""
        return size_of(self.shapes[-1]) or None

    def drawn(self, rng: np.random.Generator | None, samples: int) -> "Network":
        """Give the network of one training step, whose layers have drawn what they draw; the parameters are shared."""
        layers = list(self.layers)
        for number, (layer, shape) in enumerate(zip(self.layers, self.shapes, strict=False)):
            if type(layer).drawn is not Layer.drawn:
                rng = np.random.default_rng(0) if rng is None else rng
                layers[number] = layer.drawn(rng, (samples, *(shape or ())), self.dtype)
        same = all(new is old for new, old in zip(layers, self.layers, strict=True))
        return self if same else self.with_layers(tuple(layers))

    def with_layers(self, layers: tuple[Layer, ...]) -> "Network":
        """Give the same network with other layers in the place of those without parameters; all else is shared."""
        other = object.__new__(Network)
        other.__dict__.update(self.__dict__)
        shapes = [self.shapes[0]]
        for layer in layers:
            shapes.append(layer.output_shape(shapes[-1]))
        other.layers, other.shapes = layers, tuple(shapes)
        return other

    def batch(self, x: ArrayLike) -> Array:
        """Check samples and give them as (samples, *shape) in the network's dtype; one sample becomes a batch.

        Raises
        ------
        InputError
            If the shape does not fit, or a value is not a finite number.
        """
        batch = self._shaped(_array("x", x))
        if batch.dtype.kind not in "fiub":
            raise InputError(f"x must hold real numbers, not {batch.dtype}")
        with np.errstate(over="ignore"):  # a number too large for float32 becomes inf, and is refused
            batch = batch.astype(self.dtype, copy=False)
        if not np.isfinite(batch).all():
            where = np.argwhere(~np.isfinite(batch))[0]
            place = ", ".join(map(str, where[1:]))
            raise InputError(f"x must hold finite numbers; sample {where[0]} has {batch[tuple(where)]} at {place}")
        return batch

    def _shaped(self, given: NDArray[Any]) -> NDArray[Any]:
        """Give samples the shape that the first layer takes; one sample becomes a batch."""
        shape = self.shapes[0]
        if shape is None or len(shape) == 1:
            batch = given[np.newaxis] if given.ndim == 1 else given
            if batch.ndim != 2 or (shape is not None and batch.shape[1:] != shape) or not len(batch):
                raise InputError(
                    f"x must have shape (samples, {self.inputs or 'inputs'}) with at least one sample, "
                    f"not {given.shape}" + ("; load the images with flatten=True" if given.ndim > 2 else "")
                )
            return batch
        known = {shape, (size_of(shape),)} | ({shape[1:]} if shape[0] == 1 else set())
        batch = given[np.newaxis] if given.shape in known else given
        if batch.shape[1:] not in known or not len(batch):
            raise InputError(
                f"x must have shape (samples, {', '.join(map(str, shape))}) or (samples, {size_of(shape)}), with at "
                f"least one sample, not {given.shape}"
            )
        return batch.reshape(len(batch), *shape)

    def targets(self, targets: ArrayLike, samples: int) -> Targets:
        """Check integer labels (samples,) or targets (samples, outputs), and give them as the losses take them.

        Raises
        ------
        InputError
            If the shape does not fit the samples, labels are not integers or out of range, or a target is not finite.
        """
        given = np.atleast_1d(_array("targets", targets))
        # For one sample a row of targets is meant by floats, and by as many integers as there are outputs.
        row = samples == 1 and (given.dtype.kind == "f" or 1 < len(given) == self.outputs)
        if given.ndim == 1 and not row:
            return _checked_labels(given, samples, self.outputs)
        soft = given[np.newaxis] if given.ndim == 1 else given
        if soft.ndim != 2 or len(soft) != samples or (self.outputs is not None and soft.shape[1] != self.outputs):
            raise InputError(
                f"targets must be {samples} integer labels or an array ({samples}, {self.outputs or 'outputs'}); "
                f"given shape {given.shape}"
            )
        if soft.dtype.kind not in "fiub" or not np.isfinite(soft).all():
            raise InputError("targets must hold finite real numbers")
        return soft.astype(self.dtype, copy=False)

    # What goes out

    def forward(self, x: Array, vector: Array | None = None) -> Array:
        """Push a checked batch through all layers, with other parameters than its own if given."""
        x = self.unflattened(x)
        for layer, weights in zip(self.layers, self.by_layer(self.vector if vector is None else vector), strict=True):
            x = layer.forward(weights, x)
        return x

    def unflattened(self, x: Array) -> Array:
        """Give a checked batch the shape of its samples, should they come as rows."""
        shape = self.shapes[0]
        return x if shape is None or x.ndim == len(shape) + 1 else x.reshape(len(x), *shape)

    def logits(self, x: ArrayLike) -> Array:
        """Give the outputs of the last layer for samples (samples, inputs): shape (samples, outputs)."""
        batch = self.batch(x)
        with np.errstate(over="ignore", invalid="ignore"):  # a network that overflows says so by inf and nan
            parts = [self.forward(batch[start : start + CHUNK]) for start in range(0, len(batch), CHUNK)]
        return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def predict(self, x: ArrayLike) -> Array:
        """Give probabilities for `SoftmaxCrossEntropy`, the outputs themselves for other losses."""
        logits = self.logits(x)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.loss_function.outputs(logits)

    def loss(self, x: ArrayLike, targets: ArrayLike) -> float:
        """Give the mean loss over the samples; `targets` are integer labels or an array (samples, outputs)."""
        logits = self.logits(x)
        losses = self.loss_function.per_sample(logits, self.targets(targets, len(logits)))
        return float(losses.mean(dtype=np.float64))

    def accuracy(self, x: ArrayLike, targets: ArrayLike) -> float:
        """Give the share of samples whose largest output is that of their label (or of their largest target)."""
        logits = self.logits(x)
        wanted = self.targets(targets, len(logits))
        labels = wanted if wanted.ndim == 1 else wanted.argmax(axis=1)
        return float((logits.argmax(axis=1) == labels).mean())

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers, loss and parameters to one npz file, without pickle; an existing file is replaced as a whole.

        Raises
        ------
        InputError
            If a layer or loss is of your own: only its parameters could be written (`np.savez`); or if
            two layers have different functions of one name, so that `load` could not tell them apart.
        """
        header = {
            "format": "mibun network",
            "version": FORMAT_VERSION,
            "dtype": self.dtype.name,
            "input_shape": self.shapes[0],
            "layers": [_describe(layer) for layer in self.layers],
            "loss": _describe_loss(self.loss_function),
        }
        _require_distinct_names(self.layers)
        arrays: dict[str, Any] = {"header": np.array(json.dumps(header)), **self.parameters}
        path = Path(path)
        # Not from tempfile: that file would be unreadable for others, whatever the umask says.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with temporary.open("xb") as file:
                np.savez(file, **arrays)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], functions: Mapping[str, Callable[[Array], Array]] | None = None
    ) -> "Network":
        """Read a network that `save` wrote.

        Parameters
        ----------
        path
            The npz file, or a run folder with `weights.npz` in it.
        functions
            For every `Elementwise` and `BlackBox` layer its function, by the name that it had: code is never stored.

        Raises
        ------
        FormatError
            If the file is not one of these, is of a newer version, or holds arrays of another shape than its
            layers need.
        InputError
            If a function is missing.
        """
        path = Path(path) / "weights.npz" if Path(path).is_dir() else Path(path)
        arrays = _read_arrays(path)
        header = _read_header(path, arrays.pop("header", None))
        functions = functions or {}
        _require_functions(header["layers"], functions)
        try:
            layers = [_rebuild(description, functions) for description in header["layers"]]
            options = {"dtype": header.get("dtype", "missing"), "input_shape": header.get("input_shape")}
            network = cls(layers, _SAVED_LOSSES[header["loss"]](), **options)
        except (InputError, TypeError) as error:
            raise FormatError(f"{path} describes layers that cannot be built: {error}") from None
        try:
            return network.with_parameters(arrays)
        except InputError as error:
            raise FormatError(f"{path}: the arrays do not fit the layers of this file: {error}") from None


def _checked_shape(given: Sequence[int] | None) -> Shape | None:
    if given is None:
        return None
    try:
        shape = tuple(given)
    except TypeError:
        shape = ()
    if not shape or not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n > 0 for n in shape):
        raise InputError(f"input_shape must be the shape of one sample, such as (1, 28, 28), not {given!r}")
    return tuple(map(int, shape))


def _checked_layers(layers: object, shape: Shape | None) -> tuple[tuple[Layer, ...], tuple[Shape | None, ...]]:
    """Check that the layers fit on each other, and give them with the shapes between them."""
    if isinstance(layers, Layer) or not isinstance(layers, Sequence) or not layers:
        raise InputError(f"layers must be a list such as [Dense(64, 50), Sigmoid(), Dense(50, 10)], not {layers!r}")
    if shape is None and (first := next((layer for layer in layers if isinstance(layer, Dense)), None)):
        # What stands before the first dense layer keeps the number of units, or says that it needs images.
        ahead = layers[: layers.index(first)]
        shape = (first.inputs,) if all(type(one).output_shape is Layer.output_shape for one in ahead) else None
    shapes: list[Shape | None] = [shape]
    for number, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            given = f"{layer.__name__} (write {layer.__name__}())" if isinstance(layer, type) else repr(layer)
            raise InputError(f"layer {number} must be a layer such as Dense(64, 50), not {given}")
        try:
            shapes.append(layer.output_shape(shapes[-1]))
        except InputError as error:
            after = f" after layer {number - 1}, {layers[number - 1]}" if number else ""
            raise InputError(f"layer {number} does not fit{after}: {error}") from None
    if shapes[-1] is not None and len(shapes[-1]) != 1:
        raise InputError(f"the last layer gives samples of shape {shapes[-1]}; end with Flatten() and a Dense layer")
    return tuple(layers), tuple(shapes)


def _checked_loss(loss: object) -> Loss:
    if loss is None:
        return SoftmaxCrossEntropy()
    if isinstance(loss, Loss) and not isinstance(loss, type):
        return loss
    if callable(loss) and not isinstance(loss, type):
        return PerSampleLoss(loss)
    raise InputError(
        f"loss must be a loss such as SoftmaxCrossEntropy(), or a function of (outputs, targets), not {loss!r}"
    )


def _checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = np.dtype(object)
    if known not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise InputError(f"dtype must be np.float64 or np.float32, not {dtype!r}")
    return known


def _array(name: str, given: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError:
        raise InputError(f"{name} must be an array; given a list whose rows differ in length") from None


def _checked_labels(labels: NDArray[Any], samples: int, outputs: int | None) -> Targets:
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels must be integers, not {labels.dtype}; targets have shape (samples, outputs)")
    if len(labels) != samples:
        raise InputError(f"there are {samples} samples, but {len(labels)} labels")
    if labels.min() < 0 or (outputs is not None and labels.max() >= outputs):
        raise InputError(
            f"labels must lie in 0 ... {(outputs or 0) - 1}, for the network has {outputs} outputs; "
            f"they run from {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64, copy=False)


def _brief(layer: Layer) -> str:
    if isinstance(layer, Dense):
        return f"Dense({layer.inputs}, {layer.outputs})"
    if isinstance(layer, Conv2D):
        stride = f", stride={layer.stride}" * (layer.stride != 1)
        padding = f", padding={layer.padding}" * (layer.padding != 0)
        return f"Conv2D({layer.inputs}, {layer.outputs}, {layer.size}{stride}{padding})"
    return repr(layer)


def _describe(layer: Layer) -> dict[str, Any]:
    kind = type(layer).__name__
    if isinstance(layer, Elementwise):
        return {"kind": kind, "function": layer.name}
    if isinstance(layer, BlackBox):
        return {"kind": kind, "function": layer.name, "n_out": layer.n_out}
    if _SAVED_LAYERS.get(kind) is not type(layer):
        raise InputError(f"{layer!r} is a layer of your own and cannot be saved; save `network.parameters` instead")
    return {"kind": kind, **asdict(layer)}  # type: ignore[call-overload]


def _require_distinct_names(layers: Sequence[Layer]) -> None:
    named: dict[str, object] = {}
    for layer in layers:
        if (
            isinstance(layer, (Elementwise, BlackBox))
            and named.setdefault(layer.name, layer.function) is not layer.function
        ):
            raise InputError(
                f"two {type(layer).__name__} layers have different functions named {layer.name!r}; rename one of them"
            )


def _describe_loss(loss: Loss) -> str:
    kind = type(loss).__name__
    if _SAVED_LOSSES.get(kind) is not type(loss):
        raise InputError(f"{loss!r} is a loss of your own and cannot be saved; save `network.parameters` instead")
    return kind


def _require_functions(descriptions: list[dict[str, Any]], functions: Mapping[str, Callable[[Array], Array]]) -> None:
    for layer in descriptions:
        name = str(layer.get("function"))
        if layer.get("kind") not in ("Elementwise", "BlackBox"):
            continue
        if name not in functions:
            raise InputError(
                f"the network has a layer {layer['kind']}({name}): pass functions={{{name!r}: ...}} to load it"
            )
        Elementwise(functions[name])


def _rebuild(description: Mapping[str, Any], functions: Mapping[str, Callable[[Array], Array]]) -> Layer:
    options = dict(description)
    kind = options.pop("kind", None)
    if kind == "Elementwise":
        return Elementwise(functions[options["function"]])
    if kind == "BlackBox":
        return BlackBox(functions[options["function"]], options["n_out"])
    if kind not in _SAVED_LAYERS:
        raise FormatError(f"the file has a layer {kind!r}; this mibun knows {', '.join(sorted(_SAVED_LAYERS))}")
    return _SAVED_LAYERS[kind](**options)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FormatError(f"{path} is not a file; expected an npz file written by Network.save")
    try:
        # Opened here, for np.load leaves a file that it cannot read open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UNREADABLE as error:
        raise FormatError(
            f"{path} is not an npz file that can be read ({error}); expected one by Network.save"
        ) from None


def _read_header(path: Path, header: NDArray[Any] | None) -> dict[str, Any]:
    try:
        read = json.loads(str(header))
        version, known = read["version"], read["format"] == "mibun network"
    except (ValueError, TypeError, KeyError):
        raise FormatError(f"{path} was not written by Network.save: it has no header of that kind") from None
    if known and (not isinstance(version, int) or version > FORMAT_VERSION):
        raise FormatError(
            f"{path} has format version {version}; this mibun reads up to {FORMAT_VERSION}: install a newer mibun"
        )
    layers = read.get("layers")
    known = known and isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)
    if not known or str(read.get("loss")) not in _SAVED_LOSSES:
        raise FormatError(f"{path} was not written by Network.save, or has a loss that this mibun does not know")
    return read  # type: ignore[no-any-return]
