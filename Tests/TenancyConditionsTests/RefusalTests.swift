import Testing

@testable import TenancyConditions

@Suite struct RefusalTests {
  @Test(arguments: [
    ("subject.departement == 'x'", "1:1: there is no 'subject.departement'; did you mean"),
    ("subject == 'x'", "1:1: 'subject' is an object; expected one of its attributes"),
    ("true &&\n  owner == 'x'", "2:3: there is no 'owner'"),
    ("subject.id == 1", "1:1: '==' compares (string, int); expected two values of one type"),
    ("1 < 1u", "1:1: '<' does not take (int, uint); expected (bool, bool)"),
    ("subject.id", "1:1: the condition is of type string; expected bool"),
    ("context.mfa && subject.level", "1:16: an operand of '&&' is of type int; expected bool"),
    ("!subject.id", "1:2: the operand of '!' is of type string; expected bool"),
    ("-subject.id == 'x'", "1:1: the operand of '-' is of type string"),
    ("size(1) == 1", "1:1: size() does not take (int); expected (string) or (bytes)"),
    ("sise('a') == 1", "1:1: there is no function 'sise'; did you mean 'size'?"),
    ("startsWith('a', 'b')", "1:1: expected a receiver, as in x.startsWith(…)"),
    ("'a'.int() == 1", "1:1: expected int(…) without a receiver"),
    ("'a'.matches('a')", "1:1: matches() is not in the subset of CEL"),
    ("A{b: 1} == 1", "1:1: messages are not in the subset of CEL"),
    ("subject.level in ['a']", "1:1: 'in' looks for int among values of type string"),
    ("'a' in subject.id", "1:8: 'in' looks into string; expected a list or a map"),
    ("[1, 'a'] == []", "1:5: elements of a list are int and string; expected one type"),
    ("{1.5: 1} == {}", "1:2: a key is of type double"),
    ("{'a': 1, 'a': 2} == {}", "1:1: a key is there twice"),
    ("(true ? 1 : 'a') == 1", "1:13: one branch is int, the other string"),
    ("now < timestamp('2027-02-29T00:00:00Z')", "1:7: this text is no timestamp"),
    ("context.age < duration('1 h')", "1:15: this text is no duration"),
    ("now.getHours('Europe/Paris') == 1", "1:14: expected 'UTC' or an offset such as '+01:00'"),
    ("subject.groups.all(1, true)", "1:20: expected the name of a variable of all()"),
    ("subject.groups.all(x)", "1:16: all() takes a variable and an expression"),
    ("subject.groups.all(x, 1)", "1:23: the predicate of all() is of type int; expected bool"),
    ("subject.id.all(x, true)", "1:1: all() goes over string; expected a list or a map"),
    ("has(subject)", "1:1: has() takes one selection, as in has(a.b)"),
    ("has(subject.nobody)", "1:5: there is no 'subject.nobody'"),
    ("subject.id.x == 1", "1:1: a value of type string has no field 'x'"),
    ("subject.groups['a'] == 'b'", "1:16: a list is indexed by string; expected int"),
    ("counts[1] == 1", "1:8: a map is indexed by int; expected string"),
    ("subject.id[0] == 'a'", "1:1: a value of type string has no elements"),
    ("if == 1", "1:1: 'if' is a reserved word of CEL"),
    ("a = 1", "1:3: '=' compares nothing; expected '=='"),
    ("a & b", "1:3: expected '&&'"), ("", "1:1: found the end; expected a value"),
    ("1 +", "1:4: found the end; expected a value"),
    ("(true", "1:6: found the end; expected ')'"),
    ("true true", "1:6: found 'true'; expected an operator or the end"),
    ("-!true", "1:2: found '!'; expected a value"),
    ("true ? true ? true : true : true", "1:13: found '?'; expected ':'"),
    ("[,,]", "1:3: found ','; expected ']'"), ("f(1,)", "1:5: found ')'; expected a value"),
    ("a.true", "1:3: found 'true'; expected a name after '.'"),
    ("99999999999999999999 == 1", "1:1: this number is outside the range of int"),
    ("9223372036854775808 == 1", "1:1: this number is outside the range of int"),
    ("18446744073709551616u == 1u", "1:1: this number is outside the range of uint"),
    ("1e999 == 1.0", "1:1: this number is outside the range of double"),
    ("12a == 1", "1:1: a number is malformed"), ("0x == 1", "1:1: a number is malformed"),
    ("'a", "1:1: a string is not closed"), ("'a\nb'", "1:1: a string is not closed"),
    ("'\\s' == 'a'", "1:2: this is no escape sequence"),
    ("'\\ud83d' == 'a'", "1:2: this escape sequence is no code point"),
    ("b'\\u00e9' == b'a'", "1:3: this is no escape sequence"),
    ("'\\x1' == 'a'", "1:2: this escape sequence wants 2 digits"),
    ("'é' == 'a' && §", "1:15: this character has no meaning here"),
  ])
  func says(_ source: String, _ expected: String) {
    let message = refusal(source)
    #expect(message.hasPrefix(expected), "\(source): \(message)")
  }

  @Test func limits() {
    var limits = ConditionLimits()
    limits.maximumSourceBytes = 10
    #expect(refusal("1 == 1    ", limits) == "accepted")
    #expect(refusal("1 == 1     ", limits).contains("longer than 10 bytes"))
    limits = ConditionLimits()
    limits.maximumNodes = 3
    #expect(refusal("1 == 1", limits) == "accepted")
    #expect(refusal("!(1 == 1)", limits).contains("more than 3 parts"))
    limits = ConditionLimits()
    limits.maximumCost = 10
    #expect(refusal("subject.level == 1", limits) == "accepted")
    #expect(refusal("subject.id == resource.owner", limits).contains("could cost"))
    limits = ConditionLimits()
    limits.maximumMacroDepth = 1
    #expect(refusal("numbers.all(a, a > 0)", limits) == "accepted")
    #expect(
      refusal("numbers.all(a, numbers.all(b, a > b))", limits).contains("nested deeper than 1"))
  }

  @Test func depth() {
    func nested(_ open: String, _ close: String, _ count: Int) -> String {
      String(repeating: open, count: count) + "true" + String(repeating: close, count: count)
    }
    let deepest = ConditionLimits.deepest
    #expect(refusal(nested("(", ")", deepest - 1)) == "accepted")
    #expect(refusal(nested("(", ")", deepest)).contains("nested deeper"))
    #expect(refusal(nested("(", ")", 2_000)).contains("nested deeper"))
    #expect(refusal(nested("dyn([", "])[0]", 2_00)).contains("nested deeper"))
    #expect(refusal(nested("true ? true : ", "", 62)) == "accepted")
    #expect(refusal(nested("true ? true : ", "", 500)).contains("nested deeper"))
    #expect(refusal(nested("!", "", 2_000)) == "accepted")
    #expect(refusal("1" + String(repeating: " + 1", count: 60) + " == 61") == "accepted")
    #expect(refusal("1" + String(repeating: " + 1", count: 99) + " == 1").contains("deeper"))
    #expect(refusal("true" + String(repeating: " && true", count: 900)) == "accepted")
    #expect(refusal("subject" + String(repeating: ".a", count: 900)).contains("deeper"))
  }

  @Test func costsThatMultiplyAreRefused() {
    let macro = "numbers.all(a, numbers.all(b, numbers.all(c, a + b > c)))"
    #expect(refusal(macro).contains("could cost"))
    var chain = "['a', 'b']"
    for _ in 0..<20 { chain += ".map(x, x + x)" }
    #expect(refusal(chain + " == []").contains("could cost"))
    var lists = "dyn(numbers)"
    for _ in 0..<40 { lists += ".map(x, dyn([x, x]))" }
    #expect(refusal(lists + " == []").contains("nested"))
  }
}
