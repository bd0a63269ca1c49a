"""Random expressions in the subset of CEL that conditions have."""

NAMES = ["", "a", "b", "ab", "eu", "é", "e\u0301", "😀", "user:al"]
# Small enough for no product to be infinite: NaN is equal to itself in Python, and comparing it fails in Rust.
NUMBERS = [0.0, 1.0, -1.0, 2.0, 3.5, 7.0, 1e15]
ATOM, PRODUCT, SUM, RELATION, AND, OR, WHOLE = range(7)


def quoted(text: str) -> str:
    return "'" + text + "'"


class Maker:
    """Makes expressions of a type, as a text and how tightly it binds."""

    def __init__(self, random, without: set[str]):
        self.random, self.without = random, without
        self.used, self.variables = set(), []

    # MARK: Parts

    def may(self, corner: str, chance: float = 0.1) -> bool:
        if corner in self.without or self.random.random() >= chance:
            return False
        self.used.add(corner)
        return True

    def part(self, made, level: int) -> str:
        text, has = made
        return text if has <= level and (has == ATOM or self.random.random() < 0.7) else f"({text})"

    def binary(self, first, sign: str, second, level: int):
        # Operators go from left to right: what is on their right binds more tightly.
        return f"{self.part(first, level)} {sign} {self.part(second, level - 1)}", level

    def spelled(self, text: str) -> str:
        """A literal, in one of the ways to write it."""
        match self.random.randint(0, 9):
            case 0:
                return f'"{text}"'
            case 1:
                return f"'''{text}'''"
            case 2:
                return f'r"{text}"'
            case 3:
                return quoted("".join(f"\\U{ord(one):08X}" if ord(one) > 0xFFFF else f"\\u{ord(one):04x}"
                                      for one in text))
            case 4:
                return quoted("".join(self.pick(f"\\x{ord(one):02X}", f"\\{ord(one):03o}") if ord(one) < 0x100 else one
                                      for one in text))
        return quoted(text)

    def source(self, depth: int) -> str:
        """A condition. No literal has spaces."""
        return "".join(self.pick("\n", "\t", " // && false\n") if one == " " and self.random.random() < 0.05 else one
                       for one in self.make("bool", depth)[0])

    def make(self, kind: str, depth: int):
        fitting = [name for name, of in self.variables if of == kind]
        if fitting and self.random.random() < 0.4:
            return self.random.choice(fitting), ATOM
        if depth <= 0:
            return getattr(self, f"{kind}_leaf")()
        if self.random.random() < 0.06:
            return (f"{self.part(self.make('bool', depth - 1), OR)} ? {self.part(self.make(kind, depth - 1), OR)}"
                    f" : {self.part(self.make(kind, depth - 1), WHOLE)}"), WHOLE
        return getattr(self, kind)(depth - 1)

    def pick(self, *values):
        return self.random.choice(values)

    # MARK: Booleans

    def bool_leaf(self):
        return self.pick("true", "false", "context.mfa", "subject.attributes.flag", "resource.attributes.flag"), ATOM

    def bool(self, depth: int):
        random, make = self.random, self.make
        match random.randint(0, 13):
            case 0 | 1:
                return self.binary(make("bool", depth), "&&", make("bool", depth), AND)
            case 2 | 3:
                return self.binary(make("bool", depth), "||", make("bool", depth), OR)
            case 4:
                return f"!{self.part(make('bool', depth), ATOM)}", ATOM
            case 5 | 6:
                kind = self.pick("int", "uint", "number", "text", "bytes", "time", "duration", "bool")
                return self.relation(kind, kind, self.pick("==", "!=", "<", "<=", ">", ">="), depth)
            case 7:
                kind = self.pick("texts", "numbers", "map", "type")
                return self.relation(kind, kind, self.pick("==", "!="), depth)
            case 8:
                return f"{self.part(make('text', depth), ATOM)}.{self.pick('contains', 'startsWith', 'endsWith')}(" \
                       f"{make('text', depth)[0]})", ATOM
            case 9:
                if self.random.random() < 0.3:
                    key = (self.make("text", depth) if self.may("mistyped-key", 0.7)
                           else (quoted(random.choice(NAMES)), ATOM))
                    return f"{self.part(key, SUM)} in {self.part(make('map', depth), SUM)}", RELATION
                element, of = self.pick(("text", "texts"), ("number", "numbers"))
                return self.relation(element, of, "in", depth)
            case 10:
                return self.has()
            case 11 if random.random() < 0.2:
                moment = self.pick("timestamp('2020-01-01T00:00:00Z')", "timestamp('9999-01-01T00:00:00Z')")
                return f"now {self.pick('<', '<=', '>', '>=', '!=')} {moment}", RELATION
            case 11:
                return self.corner(depth)
            case _:
                return self.macro(self.pick("all", "exists", "exists_one"), depth)

    def relation(self, first: str, second: str, sign: str, depth: int):
        one, other = self.make(first, depth), self.make(second, depth)
        # a < b == c is (a < b) == c.
        return f"{self.part(one, RELATION if first == 'bool' else SUM)} {sign} {self.part(other, SUM)}", RELATION

    def has(self):
        if self.may("has-of-absent", 0.8):
            owner = self.pick("subject.attributes", "resource.attributes", "context")
            return f"has({owner}.{self.pick('level', 'name', 'flag', 'names', 'none')})", ATOM
        return f"has({self.pick('resource.id', 'resource.attributes', 'subject.attributes')})", ATOM

    def corner(self, depth: int):
        """What some implementation has apart."""
        make = self.make
        if self.may("mixed-equality", 0.4):
            first, second = self.pick("number", "text", "bool", "int", "texts", "map"), self.pick(
                "number", "text", "bool", "uint", "numbers", "int")
            return f"dyn({make(first, depth)[0]}) {self.pick('==', '!=')} dyn({make(second, depth)[0]})", RELATION
        if self.may("mixed-arithmetic", 0.2):
            return f"{self.number_leaf()[0]} {self.pick(*'+-*')} dyn({self.int_leaf()[0]}) < 3.0", RELATION
        if self.may("bool-of-text", 0.2):
            return f"bool({make('text', depth)[0]})", ATOM
        kinds = self.pick(("text", "number"), ("text", "bytes"))
        if self.may("mixed-order", 0.8):
            kinds = self.pick(("int", "uint"), ("number", "int"), ("uint", "number"))
        return (f"dyn({make(kinds[0], depth)[0]}) {self.pick('<', '<=', '>', '>=')} dyn({make(kinds[1], depth)[0]})",
                RELATION)

    def macro(self, name: str, depth: int):
        of, kind = self.pick(("texts", "text"), ("numbers", "number"), ("map", "text"))
        over, body = self.over(of, kind, depth, "bool", "failing-one" if name == "exists_one" else "failing-element")
        return f"{over[0]}.{name}({over[1]}, {body})", ATOM

    def over(self, of: str, kind: str, depth: int, body: str, corner: str):
        """A list, its variable, and what is made of each element."""
        over = self.part(self.make(of, min(depth, 1)), ATOM)
        if corner == "failing-filter" and not self.may(corner, 0.5):
            # One that never fails, of parts that do not.
            over = self.pick("['a', 'é']", "['eu', 'b', '']") if kind == "text" else self.pick("[1.0, 2.0]", "[0.5]")
        variable = f"{self.pick('x', 'y', 'now')}{len(self.variables)}"
        if len(self.variables) == 2:
            return (over, variable), self.pick("true", "false") if body == "bool" else variable
        if not self.may(corner, 0.5):
            return (over, variable), self.simple(variable, kind) if body == "bool" else variable
        self.variables.append((variable, kind))
        made = self.make(body, min(depth, 2))[0]
        self.variables.pop()
        return (over, variable), made

    def simple(self, variable: str, kind: str) -> str:
        """A predicate that never fails."""
        sign, name = self.pick("==", "!="), self.spelled(self.random.choice(NAMES))
        if kind == "number":
            return f"{variable} {sign} {self.pick(*map(str, NUMBERS))}"
        return self.pick(f"{variable} {sign} {name}", f"{variable} in ['a', 'b', 'é', 'eu', 'x', 'y']",
                         f"{variable} in [{name}, 'a'] || {variable} == {name}")

    # MARK: Numbers

    def int_leaf(self):
        value = self.pick(0, 1, 2, 3, 7, 10, 1 << 53, (1 << 63) - 1, self.random.randint(0, 99))
        return self.pick(str, str, hex)(value), ATOM

    def int(self, depth: int):
        match self.random.randint(0, 9):
            case 0:
                literal = f"-{self.int_leaf()[0]}"
                if self.may("negation", 0.3):
                    return f"-({self.make('int', depth)[0]})", ATOM
                return literal, ATOM
            case 1:
                kinds = ["bytes", "texts", "numbers", "map"]
                kind = "text" if self.may("size-of-text", 0.4) else self.random.choice(kinds)
                made = self.make(kind, depth)
                return self.pick(f"size({made[0]})", f"{self.part(made, ATOM)}.size()"), ATOM
            case 2:
                return f"int({self.make(self.pick('int', 'uint', 'number'), depth)[0]})", ATOM
            case 3:
                return f"int({self.pick(*map(quoted, ('12', '-7', '', 'a', '99999999999999999999', '1.5')))})", ATOM
            case 4:
                return self.part_of_time(depth), ATOM
            case 5 if self.may("int-of-timestamp", 0.5):
                return f"int({self.make('time', depth)[0]})", ATOM
            case _:
                return self.arithmetic("int", "+-*/%", depth)

    def arithmetic(self, kind: str, signs: str, depth: int):
        sign = self.pick(*signs)
        return self.binary(self.make(kind, depth), sign, self.make(kind, depth), SUM if sign in "+-" else PRODUCT)

    def part_of_time(self, depth: int) -> str:
        if self.random.random() < 0.3:
            name = self.pick("getHours", "getMinutes", "getSeconds")
            return f"{self.part(self.make('duration', depth), ATOM)}.{name}()"
        if self.may("milliseconds", 0.1):
            return f"{self.part(self.make('duration', depth), ATOM)}.getMilliseconds()"
        offset = quoted(self.pick("+01:00", "-07:30", "UTC")) if self.may("offset", 0.3) else ""
        name = self.pick("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear", "Hours", "Minutes",
                         "Seconds", "Milliseconds")
        # Not of `now`, which is another moment for each.
        return f"{self.part(self.make('time', depth), ATOM)}.get{name}({offset})"

    def uint_leaf(self):
        return f"{self.pick(str, hex)(self.pick(0, 1, 2, 3, 10, (1 << 64) - 1))}u", ATOM

    def uint(self, depth: int):
        match self.random.randint(0, 9):
            case 0 | 1:
                return f"uint({self.make(self.pick('int', 'number', 'uint'), depth)[0]})", ATOM
            case 2:
                return f"uint({self.pick(*map(quoted, ('12', '-7', '', 'a', '18446744073709551616')))})", ATOM
        return self.arithmetic("uint", "+-*/%", depth)

    def number_leaf(self):
        owner = self.pick("subject.attributes", "resource.attributes", "context")
        return self.pick(f"{owner}.level", f"{owner}.level", f"{owner}.scores['low']", f"{owner}.scores.high",
                         f"{owner}.numbers[{self.pick(0, 1, 5)}]", str(self.random.choice(NUMBERS)),
                         f"{self.random.choice(NUMBERS):e}"), ATOM

    def number(self, depth: int):
        match self.random.randint(0, 7):
            case 7:
                return f"double({self.pick(*map(quoted, ('1e3', '.5', '-2.5', '', 'a')))})", ATOM
            case 0:
                return f"double({self.make(self.pick('int', 'uint', 'number'), depth)[0]})", ATOM
            case 1 if self.may("negation", 0.5):
                return f"-({self.make('number', depth)[0]})", ATOM
            case 2 if self.may("quotients", 1):
                return self.binary(self.make("number", depth), "/", (self.pick("2.0", "-0.5", "3.5"), ATOM), PRODUCT)
            case 3 if self.may("negative-index", 0.3):
                return f"{self.part(self.make('numbers', depth), ATOM)}[-1]", ATOM
            case 4:
                return f"{self.part(self.make('numbers', depth), ATOM)}[{self.pick(0, 1, 2)}]", ATOM
            case 5:
                return self.number_leaf()
            case _:
                return self.arithmetic("number", "+-*", depth)

    # MARK: Texts

    def text_leaf(self):
        owner = self.pick("subject.attributes", "resource.attributes", "context")
        return self.pick("subject.id", "resource.id", "resource.type", "action", f"{owner}.name", f"{owner}.name",
                         f"{owner}.names[0]", f"{owner}['name']",
                         self.spelled(self.random.choice(NAMES)), self.spelled(self.random.choice(NAMES))), ATOM

    def text(self, depth: int):
        match self.random.randint(0, 6):
            case 0:
                return f"string({self.make(self.pick('int', 'uint'), depth)[0]})", ATOM
            case 1 if self.may("text-of-bool", 0.5):
                # What should be a text may be a boolean.
                return f"string({self.make(self.pick('bool', 'text'), depth)[0]})", ATOM
            case 2 if self.may("text-of-bytes", 0.5):
                return f"string({self.make('bytes', depth)[0]})", ATOM
            case 3:
                return self.text_leaf()
            case 4:
                return f"{self.part(self.make('texts', depth), ATOM)}[{self.pick(0, 1, 2)}]", ATOM
            case 5 if self.random.random() < 0.5:
                return f"{{0: 'a', 1: 'é', 7: ''}}[{self.make('int', depth)[0]}]", ATOM
            case _ if self.may("sum-of-texts", 1):
                return self.binary(self.make("text", depth), "+", self.make("text", depth), SUM)
            case _:
                return self.text_leaf()

    def bytes_leaf(self):
        return self.pick("b''", "b'a'", "b'ab'", "b'\\xff'", "b'é'"), ATOM

    def bytes(self, depth: int):
        if self.random.random() < 0.4:
            return f"bytes({self.make('text', depth)[0]})", ATOM
        if not self.may("sum-of-texts", 1):
            return self.bytes_leaf()
        return self.binary(self.make("bytes", depth), "+", self.make("bytes", depth), SUM)

    # MARK: Times

    # All about the beginning of time, and near each other: durations are 292 years at most, with tenantd.

    def time_leaf(self):
        offset, below = "+02:00" if self.may("offset", 0.2) else "Z", self.random.randrange
        date = f"{1965 + below(10)}-{1 + below(12):02}-{1 + below(28):02}"
        moment = self.pick("1970-01-01T00:00:00", "1972-02-29T23:59:59.789", f"{date}T00:00:00",
                           f"{date}T{below(24):02}:{below(60):02}:{below(60):02}.{below(1000):03}")
        return f"timestamp({self.spelled(moment + offset)})", ATOM

    def time(self, depth: int):
        return self.binary(self.make("time", depth), self.pick("+", "-"), self.make("duration", depth), SUM)

    def duration_leaf(self):
        below = self.random.randrange
        span = self.pick("0s", "1h30m", "-1.5s", "90s", "36h", "250ms", f"{below(100)}.{below(10)}{self.pick(*'hms')}",
                         f"-{below(50)}h{below(90)}m{below(90)}s{below(2000)}ms", f"{below(10**9)}us")
        return f"duration({quoted(span)})", ATOM

    def duration(self, depth: int):
        if self.random.random() < 0.3:
            return self.binary(self.make("time", depth), "-", self.make("time", depth), SUM)
        sign = "-" if self.may("difference-of-durations", 0.5) else "+"
        return self.binary(self.make("duration", depth), sign, self.make("duration", depth), SUM)

    # MARK: Lists, maps and types

    def texts_leaf(self):
        owner = self.pick("subject.attributes", "resource.attributes", "context")
        some = ", ".join(quoted(name) for name in self.random.sample(NAMES, self.random.randint(0, 6)))
        return self.pick(f"{owner}.names", f"{owner}.names", f"[{some}]"), ATOM

    def texts(self, depth: int):
        return self.list("texts", "text", depth)

    def numbers_leaf(self):
        owner = self.pick("subject.attributes", "resource.attributes", "context")
        some = ", ".join(str(one) for one in self.random.sample(NUMBERS, self.random.randint(0, 6)))
        return self.pick(f"{owner}.numbers", f"{owner}.numbers", f"[{some}]"), ATOM

    def numbers(self, depth: int):
        return self.list("numbers", "number", depth)

    def list(self, kind: str, element: str, depth: int):
        match self.random.randint(0, 4):
            case 0:
                return self.binary(self.make(kind, depth), "+", self.make(kind, depth), SUM)
            case 1:
                over, body = self.over(kind, element, depth, "bool", "failing-filter")
                return f"{over[0]}.filter({over[1]}, {body})", ATOM
            case 2:
                over, body = self.over(kind, element, depth, element, "failing-filter")
                if self.may("map-predicate", 0.4):
                    return f"{over[0]}.map({over[1]}, {self.simple(over[1], element)}, {body})", ATOM
                return f"{over[0]}.map({over[1]}, {body})", ATOM
            case 3:
                return self.part((self.texts_leaf if kind == "texts" else self.numbers_leaf)(), ATOM), ATOM
            case _:
                parts = ", ".join(self.make(element, depth - 1)[0] for _ in range(self.random.randint(0, 3)))
                return f"[{parts}]", ATOM

    def map_leaf(self):
        owner = self.pick("subject.attributes", "resource.attributes", "context")
        return self.pick(f"{owner}.scores", f"{owner}.scores", owner, "{'low': 1.0, 'high': 2.0}"), ATOM

    def map(self, depth: int):
        if self.may("equal-keys", 0.3):
            key = self.make("text", depth)[0]
            return f"{{{key}: 1.0, {self.make('text', depth)[0]}: 2.0}}", ATOM
        if self.may("values-of-maps", 0.5):
            return f"{{{self.make('text', depth)[0]}: {self.make('number', depth)[0]}}}", ATOM
        return self.map_leaf()

    def type_leaf(self):
        return self.pick("int", "uint", "double", "string", "bool", "bytes"), ATOM

    def type(self, depth: int):
        return f"type({self.make(self.pick('int', 'uint', 'number', 'text', 'bool', 'bytes'), depth)[0]})", ATOM
