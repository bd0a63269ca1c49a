/// Facts of cel-spec's conformance data: an expression, and the value that it has.
let conformanceVectors1 = #"""
  0 => 0
  0u => 0u
  0U => 0u
  0.0 => 0.0
  0e+0 => 0.0
  '' => ""
  "" => ""
  r"" => ""
  b"" => b""
  false => false
  null => null
  [] => []
  {} => {}
  r"""""" => ""
  r'''''' => ""
  42 => 42
  123456789u => 123456789u
  123456789U => 123456789u
  -9223372036854775808 => -9223372036854775808
  -2.3e+1 => -23.0
  "!" => "!"
  '\'' => "'"
  b'ÿ' => b"\xc3\xbf"
  b'\000\xff' => b"\x00\xff"
  [-1] => [-1]
  {"k":"v"} => {"k": "v"}
  true => true
  0x55555555 => 1431655765
  -0x55555555 => -1431655765
  0x55555555u => 1431655765u
  0x55555555U => 1431655765u
  "\u270c" => "✌"
  "\U0001f431" => "🐱"
  "\a\b\f\n\r\t\v\"\'\\" => "\x07\x08\x0c\x0a\x0d\x09\x0b\"'\\"
  x => error
  1 + 1 => 2
  f_unknown(17) => error
  1 == 1 => true
  -1 == 1 => false
  dyn(1) == 1u => true
  dyn(2) == 1u => false
  dyn(1) == 1.0 => true
  dyn(2) == 1.0 => false
  2u == 2u => true
  1u == 2u => false
  dyn(1u) == 1 => true
  dyn(2u) == 1 => false
  dyn(1u) == 1.0 => true
  dyn(2u) == 1.0 => false
  1.0 == 1.0e+0 => true
  -1.0 == 1.0 => false
  0.0/0.0 == 0.0/0.0 => false
  dyn(1) == 0.0/0.0 => false
  dyn(1u) == 0.0/0.0 => false
  dyn(1.0) == 1 => true
  dyn(2.0) == 1 => false
  dyn(1.0) == 1u => true
  dyn(2.0) == 1u => false
  '' == "" => true
  'a' == 'b' => false
  'abc' == r'abc' => true
  'abc' == 'ABC' => false
  'ίσος' == 'ίσος' => true
  'a' == 'à' => false
  'Am\u00E9lie' == 'Ame\u0301lie' => false
  null == null => true
  true == true => true
  false == true => false
  b'ÿ' == b'\303\277' => true
  b'abc' == b'abcd' => false
  [] == [] => true
  [null] == [null] => true
  [1, 2, 3] == [1, 2, 3] => true
  [1, 2, 3] == [1, 3, 2] => false
  ['case'] == ['cAse'] => false
  {} == {} => true
  {'k': null} == {'k': null} => true
  {'k':'v'} == {"k":"v"} => true
  {'k':1.0} == {'k':1e+0} => true
  {'k':'v'} == {'k':'v1'} => false
  {'k':'v','k1':'v1'} == {'k':'v'} => false
  {'k1':'v1','k2':'v2'} == {'k2':'v2','k1':'v1'} => true
  {'key':'value'} == {'Key':'value'} => false
  dyn(false) == null => false
  dyn(b'') == null => false
  dyn(2.1) == null => false
  dyn(duration('0s')) == null => false
  dyn(1) == null => false
  dyn([]) == null => false
  dyn({}) == null => false
  dyn('') == null => false
  dyn(timestamp(0)) == null => false
  dyn(1) == 2u => false
  dyn(1) == 2.0 => false
  dyn(1u) == 2 => false
  dyn(1u) == 120 => false
  dyn(1.0) == 2 => false
  dyn(1.0) == 2u => false
  24 != 42 => true
  1 != 1 => false
  dyn(24) != 24.1 => true
  dyn(1) != 1.0 => false
  dyn(24) != 42u => true
  dyn(1) != 1u => false
  1u != 2u => true
  99u != 99u => false
  dyn(1u) != 2.0 => true
  dyn(99u) != 99.0 => false
  9.0e+3 != 9001.0 => true
  0.0/0.0 != 0.0/0.0 => true
  dyn(1) != 0.0/0.0 => true
  dyn(1u) != 0.0/0.0 => true
  1.0 != 1e+0 => false
  dyn(9000) != 9001.0 => true
  dyn(1) != 1e+0 => false
  dyn(9000u) != 9001.0 => true
  dyn(1u) != 1e+0 => false
  'abc' != '' => true
  'abc' != 'abc' => false
  'résumé' != 'resume' => true
  'ίδιο' != 'ίδιο' => false
  b'\x00\xFF' != b'ÿ' => true
  b'\303\277' != b'ÿ' => false
  false != true => true
  true != true => false
  null != null => false
  [] != [1] => true
  [] != [] => false
  [true, false, true] != [true, true, false] => true
  [false, true] != [false, true] => false
  [[]] != [[]] => false
  {'k':'v'} != {'k':'v1'} => true
  {'k':true} != {'k1':true} => true
  {1:1.0} != {1:1.0} => false
  {'a':'b','c':'d'} != {'c':'d','a':'b'} => false
  -1 < 0 => true
  0 < 0 => false
  0u < 1u => true
  2u < 2u => false
  1.0 < 1.0000001 => true
  -0.0 < 0.0 => false
  'a' < 'b' => true
  '' < 'a' => true
  'Abc' < 'aBC' => true
  'abc' < 'abcd' => true
  'a' < '\u00E1' => true
  '' < '' => false
  'abc' < 'abc' => false
  'a' < 'AB' => false
  'f' < '\u1EBF' => true
  b'a' < b'b' => true
  b'abc' < b'abc' => false
  b'á' < b'b' => false
  false < true => true
  true < true => false
  true < false => false
  [0] < [1] => error
  {0:'a'} < {1:'b'} => error
  null < null => error
  'foo' < 1024 => error
  dyn(1) < 2u => true
  dyn(1) < 2.0 => true
  dyn(1u) < 2 => true
  dyn(1u) < 2.0 => true
  dyn(1.0) < 2 => true
  dyn(1.0) < 2u => true
  dyn(1) < 1u => false
  dyn(1) < 1.0 => false
  dyn(1u) < 1 => false
  dyn(1u) < 1.0 => false
  dyn(1.0) < 1 => false
  dyn(1.0) < 1u => false
  dyn(1) < 9223372036854775808u => true
  dyn(-1) < 0u => true
  dyn(9223372036854775807) < 9223372036854775808.0 => false
  dyn(9223372036854775807) < 9223372036854777857.0 => true
  dyn(9223372036854775807) < -9223372036854777857.0 => false
  dyn(-9223372036854775808) < -9223372036854775809.0 => false
  dyn(1u) < -9223372036854775808 => false
  dyn(9223372036854775808u) < 1 => false
  dyn(18446744073709551615u) < -1.0 => false
  dyn(18446744073709551615u) < 18446744073709590000.0 => true
  dyn(18446744073709553665.0) < 18446744073709551615u => false
  dyn(9223372036854775808.0) < 9223372036854775807 => false
  dyn(-9223372036854775809.0) < -9223372036854775808 => false
  42 > -42 => true
  0 > 0 => false
  48u > 46u => true
  0u > 999u => false
  1e+1 > 1e+0 => true
  .99 > 9.9e-1 => false
  'abc' > 'aBc' => true
  'A' > '' => true
  '' > '' => false
  'α' > 'omega' => true
  true > false => true
  false > true => false
  true > true => false
  null > null => error
  [1] > [0] => error
  {1:'b'} > {0:'a'} => error
  'foo' > 1024 => error
  dyn(2) > 1u => true
  dyn(2) > 1.0 => true
  dyn(2u) > 1 => true
  dyn(2u) > 1.0 => true
  dyn(2.0) > 1 => true
  dyn(2.0) > 1u => true
  dyn(1) > 1u => false
  dyn(1) > 1.0 => false
  dyn(1u) > 1 => false
  dyn(1u) > 1.0 => false
  dyn(1.0) > 1 => false
  dyn(1.0) > 1u => false
  dyn(1) > 9223372036854775808u => false
  dyn(-1) > 0u => false
  dyn(9223372036854775807) > 9223372036854775808.0 => false
  dyn(-9223372036854775808) > -9223372036854775809.0 => false
  dyn(-9223372036854775808) > -9223372036854777857.0 => true
  dyn(1u) > -1 => true
  dyn(9223372036854775808u) > 1 => true
  dyn(9223372036854775807u) > -1.0 => true
  dyn(18446744073709551615u) > 18446744073709590000.0 => false
  dyn(18446744073709553665.0) > 18446744073709551615u => true
  dyn(9223372036854775808.0) > 9223372036854775807 => false
  dyn(-9223372036854775809.0) > -9223372036854775808 => false
  0 <= 1 => true
  1 <= 1 => true
  1 <= -1 => false
  0u <= 1u => true
  1u <= 1u => true
  1u <= 0u => false
  0.0 <= 0.1e-31 => true
  0.0 <= 0e-1 => true
  1.0 <= 0.99 => false
  '' <= '' => true
  '' <= 'a' => true
  'a' <= '' => false
  'aBc' <= 'abc' => true
  'α' <= 'α' => true
  'a' <= 'α' => true
  'α' <= 'a' => false
  false <= true => true
  false <= false => true
  true <= false => false
  null <= null => error
  [0] <= [0] => error
  {0:'a'} <= {1:'b'} => error
  'foo' <= 1024 => error
  dyn(1) <= 2u => true
  dyn(1) <= 2.0 => true
  dyn(1u) <= 2 => true
  dyn(1u) <= 2.0 => true
  dyn(1.0) <= 2 => true
  dyn(1.0) <= 2u => true
  dyn(2) <= 1u => false
  dyn(2) <= 1.0 => false
  dyn(2u) <= 1 => false
  dyn(2u) <= 1.0 => false
  dyn(2.0) <= 1 => false
  dyn(2.0) <= 1u => false
  dyn(1) <= 9223372036854775808u => true
  dyn(-1) <= 0u => true
  dyn(9223372036854775807) <= 9223372036854775808.0 => true
  dyn(-9223372036854775808) <= -9223372036854775809.0 => true
  dyn(-9223372036854775808) <= -9223372036854777857.0 => false
  dyn(1u) <= -9223372036854775808 => false
  dyn(9223372036854775808u) <= 1 => false
  dyn(18446744073709551615u) <= -1.0 => false
  dyn(18446744073709551615u) <= 18446744073709590000.0 => true
  dyn(18446744073709553665.0) <= 18446744073709551615u => false
  dyn(9223372036854775808.0) <= 9223372036854775807 => true
  dyn(-9223372036854775809.0) <= -9223372036854775808 => true
  0 >= -1 => true
  999 >= 999 => true
  999 >= 1000 => false
  1u >= 0u => true
  0u >= 0u => true
  1u >= 10u => false
  1e+1 >= 1e+0 => true
  9.80665 >= 9.80665e+0 => true
  0.9999 >= 1.0 => false
  '' >= '' => true
  'a' >= '' => true
  '' >= 'a' => false
  'abcd' >= 'abc' => true
  'abc' >= 'abd' => false
  'τ' >= 'τ' => true
  'τ' >= 't' => true
  't' >= 'τ' => false
  true >= false => true
  true >= true => true
  false >= true => false
  null >= null => error
  ['y'] >= ['x'] => error
  {1:'b'} >= {0:'a'} => error
  'foo' >= 1.0 => error
  dyn(2) >= 1u => true
  dyn(2) >= 1.0 => true
  dyn(2u) >= 1 => true
  dyn(2u) >= 1.0 => true
  dyn(2.0) >= 1 => true
  dyn(2.0) >= 1u => true
  dyn(0) >= 1u => false
  dyn(0) >= 1.0 => false
  dyn(0u) >= 1 => false
  dyn(0u) >= 1.0 => false
  dyn(0.0) >= 1 => false
  dyn(0.0) >= 1u => false
  dyn(1) >= 9223372036854775808u => false
  dyn(-1) >= 0u => false
  dyn(9223372036854775807) >= 9223372036854775808.0 => true
  dyn(9223372036854775807) >= 9223372036854777857.0 => false
  dyn(-9223372036854775808) >= -9223372036854775809.0 => true
  dyn(-9223372036854775808) >= -9223372036854777857.0 => true
  dyn(1u) >= -1 => true
  dyn(9223372036854775808u) >= 1 => true
  dyn(9223372036854775807u) >= -1.0 => true
  dyn(18446744073709551615u) >= 18446744073709553665.0 => false
  dyn(18446744073709553665.0) >= 18446744073709551615u => true
  dyn(9223372036854775808.0) >= 9223372036854775807 => true
  dyn(-9223372036854775809.0) >= -9223372036854775808 => true
  'empty' in [] => false
  'elem' in ['elem', 'elemA', 'elemB'] => true
  'not' in ['elem1', 'elem2', 'elem3'] => false
  'empty' in {} => false
  'key' in {'key':'1', 'other':'2'} => true
  'key' in {'lock':1, 'gate':2} => false
  bytes('') => b""
  bytes('abc') => b"\x61\x62\x63"
  bytes('ÿ') => b"\xc3\xbf"
  bytes('\377') == b'\377' => false
  double(0) => 0.0
  double(1000000000000) => 1e12
  double(-1000000000000000) => -1e15
  double(-9007199254740992) => -9.007199254740992e15
  double(9007199254740992) => 9.007199254740992e15
  double(9223372036854775807) => 9.223372036854775807e18
  double(0u) => 0.0
  double(123u) => 123.0
  double(9007199254740992u) => 9.007199254740992e15
  double(18446744073709551615u) => 1.8446744073709551615e19
  double('0') => 0.0
  double('0.0') => 0.0
  double('-0.0') => -0.0
  double('123') => 123.0
  double('123.456') => 123.456
  double('-987.654') => -987.654
  double('6.02214e23') => 6.02214e23
  double('1.38e-23') => 1.38e-23
  double('-84.32e7') => -8.432e8
  double('-5.43e-21') => -5.43e-21
  type(dyn([1, 'one'])) => list
  int(42u) => 42
  int(0u) => 0
  int(9223372036854775807u) => 9223372036854775807
  int(18446744073709551615u) => error
  int(-123.456) => -123
  int(1.9) => 1
  int(-7.9) => -7
  """#
