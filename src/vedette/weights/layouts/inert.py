"""Pickles read without running anything that they contain: no module is imported, no function of the file's is called.

A few names, given by whoever reads, have stand-ins (numpy's arrays, PyTorch's tensors). Every other name becomes a
`Global`, and what the file would make with it a `Made`: they hold what the file says and do nothing. Python's own
unpickler, not the one in C, which fills memory for a memo entry of a high number.
"""

import pickle
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any, ClassVar

UNUSED = {
    code[0]
    for code in (
        *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.EXT1, pickle.EXT2, pickle.EXT4),
        *(pickle.PERSID, pickle.INST, pickle.OBJ),
    )
}


class Names(dict[Any, Any]):
    """A dict with names alone for keys: one of tuples in tuples would end the process when it is hashed.

    What else has another key, such as an optimizer's state, is left out.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            super().__setitem__(key, value)

    def __setstate__(self, state: Any) -> None:
        """What an OrderedDict has beside its pairs, such as versions of modules, is not needed."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[Any, Any]] = ()) -> "Names":
        """Of pairs of a name and a value."""
        names = cls()
        for key, value in pairs:
            names[key] = value
        return names


class Call:
    """A function that a file may call, and do nothing else with: a file could set attributes of a plain one."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *given: Any) -> Any:
        return self.function(*given)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function has no state")


class Global:
    """A class or a function that a file names: its name alone."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *given: Any) -> "Made":
        return Made(self, given)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a class has no state")


class Made:
    """What a file would make with a class or function of its own: what it would be given, and hold."""

    __slots__ = ("by", "given", "items", "pairs", "state")

    def __init__(self, by: Any, given: tuple[Any, ...]) -> None:
        self.by, self.given = by, given
        self.state: Any = None
        self.items: list[Any] = []  # of a list
        self.pairs = Names()  # of a dict

    @property
    def name(self) -> str:
        """Module and name of its class, or of the function that makes it."""
        by = self.given[0] if isinstance(self.by, Global) and self.by.name in RECONSTRUCTORS else self.by
        return by.name if isinstance(by, Global) else "an object"

    def __call__(self, *given: Any) -> "Made":
        return Made(self, given)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs[key] = value

    def append(self, item: Any) -> None:
        """Of a list's class."""
        self.items.append(item)


RECONSTRUCTORS = ("copyreg._reconstructor", "copy_reg._reconstructor")  # of old protocols, for objects of any class
StandIns = Mapping[tuple[str, str], Any]
DICTS: StandIns = {("collections", "OrderedDict"): Call(Names.of)}


class Unpickler(pickle._Unpickler):
    """Without what does nothing but harm here: buffers, extensions, the oldest protocols' objects; sets are lists."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code not in UNUSED
    }

    def __init__(self, file: BytesIO, stand_ins: StandIns, persistent: Callable[[Any], Any] | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self.stand_ins, self.persistent = {**DICTS, **stand_ins}, persistent

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for exactly this name of exactly this module, or else the name alone."""
        return self.stand_ins.get((module, name)) or Global(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """What a file keeps beside its pickle."""
        if self.persistent is None:
            raise pickle.UnpicklingError("nothing is kept beside this pickle")
        return self.persistent(pid)

    def load_empty_dictionary(self) -> None:
        """One that takes names alone."""
        self.append(Names())  # type: ignore[attr-defined]

    def load_dict(self) -> None:
        """The same from a row of keys and values."""
        row = self.pop_mark()  # type: ignore[attr-defined]
        self.append(Names.of(zip(row[::2], row[1::2], strict=True)))  # type: ignore[attr-defined]

    def load_bytearray8(self) -> None:
        """Python's own takes as much memory as the file says, before it reads."""
        length = int.from_bytes(self.read(8), "little")  # type: ignore[attr-defined]
        self.append(bytearray(self.read(length)))  # type: ignore[attr-defined]

    def load_newobj(self) -> None:
        """An object of a class and what its `__new__` would be given."""
        given, made_by = self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        self._make(made_by, given)

    def load_newobj_ex(self) -> None:
        """The same with named arguments, which nobody looks at."""
        _, given, made_by = self.stack.pop(), self.stack.pop(), self.stack.pop()  # type: ignore[attr-defined]
        self._make(made_by, given)

    def _make(self, made_by: Any, given: tuple[Any, ...]) -> None:
        if not isinstance(made_by, Global):
            raise pickle.UnpicklingError("an object of no class")
        self.append(made_by(*given))  # type: ignore[attr-defined]

    def load_empty_set(self) -> None:
        """Its members' hashes are not asked for: tuples in tuples would end the process."""
        self.append([])  # type: ignore[attr-defined]

    def load_additems(self) -> None:
        """Members of a set."""
        members = self.pop_mark()  # type: ignore[attr-defined]
        for member in members:
            self.stack[-1].append(member)  # type: ignore[attr-defined]

    def load_frozenset(self) -> None:
        """All its members."""
        members = self.pop_mark()  # type: ignore[attr-defined]
        self.append(members)  # type: ignore[attr-defined]

    dispatch |= {pickle.EMPTY_DICT[0]: load_empty_dictionary, pickle.DICT[0]: load_dict}
    dispatch |= {pickle.BYTEARRAY8[0]: load_bytearray8, pickle.NEWOBJ[0]: load_newobj}
    dispatch |= {pickle.NEWOBJ_EX[0]: load_newobj_ex, pickle.EMPTY_SET[0]: load_empty_set}
    dispatch |= {pickle.ADDITEMS[0]: load_additems, pickle.FROZENSET[0]: load_frozenset}
