/// Facts of cel-spec's conformance data: an expression, and the value that it has.
let conformanceVectors2 = #"""
  int(11.5) => 11
  int(-3.5) => -3
  int(double(36028797018963968)) => 36028797018963968
  int(double(36028797018963969)) => 36028797018963968
  int(9223372036854775807.0) => error
  int(-9223372036854775808.0) => error
  int(1e99) => error
  int('987') => 987
  int(timestamp('2004-09-16T23:59:59Z')) => 1095379199
  string(123) => "123"
  string(-456) => "-456"
  string(9876u) => "9876"
  string(123.456) => "123.456"
  string(-4.5e-3) => "-0.0045"
  string(b'abc') => "abc"
  string(b'\303\277') => "ÿ"
  string(b'\000\xff') => error
  type(true) => bool
  bool => bool
  dyn => error
  type(0) => int
  int => int
  type(true) == type(false) => true
  type(64u) => uint
  uint => uint
  type(3.14) => double
  double => double
  type(null) => null_type
  null_type => null_type
  type('foo') => string
  string => string
  type(b'\xff') => bytes
  bytes => bytes
  type([1, 2, 3]) => list
  list => list
  type([1, 2, 3]) == type(['one', 'two', 'three']) => true
  type({4: 16}) => map
  map => map
  type({'one': 1}) == type({1: 'one'}) => true
  type(7) == type(7u) => false
  type(0.0) != type(-0.0) => false
  type(0.0) != type(0) => true
  type(type(7)) == type(type(7u)) => true
  type(int) => type
  type => type
  type(type) => type
  uint(1729) => 1729u
  uint(9223372036854775807) => 9223372036854775807u
  uint(-1) => error
  uint(3.14159265) => 3u
  uint(1.9) => 1u
  uint(25.5) => 25u
  uint(double(36028797018963968u)) => 36028797018963968u
  uint(double(36028797018963969u)) => 36028797018963968u
  int(18446744073709551615.0) => error
  uint(6.022e23) => error
  uint('300') => 300u
  bool('1') => true
  bool('t') => true
  bool('true') => true
  bool('TRUE') => true
  bool('True') => true
  bool('0') => false
  bool('f') => false
  bool('false') => false
  bool('FALSE') => false
  bool('False') => false
  bool('TrUe') => error
  bool('FaLsE') => error
  bool(true) => true
  int(1) => 1
  uint(1u) => 1u
  double(5.5) => 5.5
  string('hello') => "hello"
  bytes(b'abc') => b"\x61\x62\x63"
  duration(duration('100s')) == duration('100s') => true
  timestamp(timestamp(1000000000)) == timestamp(1000000000) => true
  {'name':100u}['name'] => 100u
  {true:5}[true] => 5
  {1u: 1.0, 2: 2.0, 3u: 3.0}[3.1] => error
  {0:1,2:2,5:3}[1] => error
  dyn({0:1,2:2,5:3}[1]) || false => error
  dyn({0:1,2:2,5:3}[1]) || true => true
  dyn({0:1,2:2,5:3}[1]) && false => false
  dyn({0:1,2:2,5:3}[1]) && true => error
  {0:1,2:2,5:3}[dyn(b'')] => error
  dyn({0:1,2:2,5:3}[dyn(b'')]) || false => error
  dyn({0:1,2:2,5:3}[dyn(b'')]) || true => true
  dyn({0:1,2:2,5:3}[dyn(b'')]) && false => false
  dyn({0:1,2:2,5:3}[dyn(b'')]) && true => error
  {true:null}[true] => null
  {27:false}[27] => false
  {'n':'x'}['n'] => "x"
  {3:15.15}[3] => 15.15
  {0u:1u,2u:2u,5u:3u}[0u] => 1u
  {true:1,false:2}[true] => 1
  {0:b''}[0] => b""
  {0u:[1]}[0u] => [1]
  {'map': {'k': 'v'}}['map'] => {"k": "v"}
  has({'a': 1, 'b': 2}.a) => true
  has({'a': 1, 'b': 2}.c) => false
  has({}.a) => false
  {3.3:15.15, 1.0: 5}[1.0] => error
  {null:false}[null] => error
  {true:1,false:2,true:3}[true] => error
  {0: 1, 0u: 2}[0.0] => error
  7 in {} => false
  true in {true: 1} => true
  'George' in {'John': 'smart', 'Paul': 'cute', 'George': 'quiet', 'Ringo': 'funny'} => true
  'spider' in {'ant': 6, 'fly': 6, 'centipede': 100} => false
  4.25 + 15.25 => 19.5
  17.75 + (-7.75) => 10.0
  -4.125 + (-2.125) => -6.25
  42.0 - 12.0 => 30.0
  42.875 - (-22.0) => 64.875
  -4.875 - (-0.125) => -4.75
  42.5 * 0.2 => 8.5
  40.75 * (-2.25) => -91.6875
  -3.0 * (-2.5) => 7.5
  0.0625 / 0.002 => 31.25
  -2.0 / 2.0 => -1.0
  -8.875 / (-0.0625) => 142.0
  47.5 % 5.5 => error
  -(4.5) => -4.5
  -(-1.25) => 1.25
  -(0.0) => -0.0
  15.75 / 0.0 => (1.0/0.0)
  15.36 * 0.0 => 0.0
  0.0 + 1.75 => 1.75
   2.5 + 0.0 => 2.5
  7.5 + 1.5 == 1.5 + 7.5 => true
  5.625 + (15.75 + 2.0) == (5.625 + 15.75) + 2.0 => true
  1.0 * 45.25 => 45.25
  -25.25 * 1.0 => -25.25
  1.5 * 25.875 == 25.875 * 1.5 => true
  1.5 * (23.625 * 0.75) == (1.5 * 23.625) * 0.75 => true
  5.75 * (1.5 + 2.5)  == 5.75 * 1.5 + 5.75 * 2.5 => true
  2.0 * 8.988466e+307  => (1.0/0.0)
  2.0 * -8.988466e+307  => (-1.0/0.0)
  1e-324  / 2.0 => 0.0
  40 + 2 => 42
  42 + (-7) => 35
  -4 + (-2) => -6
  42 - 12 => 30
  42 - (-22) => 64
  -42 - (-12) => -30
  42 * 2 => 84
  40 * (-2) => -80
  -30 * (-2) => 60
  42 / 2 => 21
  -20 / 2 => -10
  -80 / (-2) => 40
  47 % 5 => 2
  43 % (-5) => 3
  -42 % (-5) => -2
  -3 % 5 => -3
  -(42) => -42
  -(-42) => 42
  -(42u) => error
  -false => error
  34 % 0 => error
  -(0) => 0
  15 / 0 => error
  15 * 0 => 0
  0 + 17 => 17
   29 + 0 => 29
  75 + 15 == 15 + 75 => true
  5 + (15 + 20) == (5 + 15) + 20 => true
  1 * 45 => 45
  -25 * 1 => -25
  15 * 25 == 25 * 15 => true
  15 * (23 * 88) == (15 * 23) * 88 => true
  5 * (15 + 25)  == 5 * 15 + 5 * 25 => true
  9223372036854775807 + 1 => error
  -9223372036854775808 - 1 => error
  -9223372036854775808 + (-1) => error
  1 - (-9223372036854775807) => error
  -(-9223372036854775808) => error
  (-9223372036854775808) * -1 => error
  (-9223372036854775808)/-1 => error
  5000000000 * 5000000000 => error
  (-5000000000) * 5000000000 => error
  18446744073709551615u + 1u => error
  0u - 1u => error
  5000000000u * 5000000000u => error
  42u + 2u => 44u
  42u - 12u => 30u
  40u * 2u => 80u
  60u / 2u => 30u
  42u % 5u => 2u
  -(5u) => error
  34u % 0u => error
  15u / 0u => error
  15u * 0u => 0u
  0u + 17u => 17u
   29u + 0u => 29u
  75u + 15u == 15u + 75u => true
  5u + (15u + 20u) == (5u + 15u) + 20u => true
  1u * 45u => 45u
  25u * 1u => 25u
  15u * 25u == 25u * 15u => true
  15u * (23u * 88u) == (15u * 23u) * 88u => true
  5u * (15u + 25u)  == 5u * 15u + 5u * 25u => true
  [0, 1, 2] + [3, 4, 5] == [0, 1, 2, 3, 4, 5] => true
  [0, 1, 2] + [3, 4, 5] == [3, 4, 5, 0, 1, 2] => false
  [2] + [2] => [2, 2]
  [] + [] => []
  [] + [3, 4] => [3, 4]
  [1, 2] + [] => [1, 2]
  [7, 8, 9][0] => 7
  [7, 8, 9][dyn(0.0)] => 7
  [7, 8, 9][dyn(0.1)] => error
  [7, 8, 9][dyn(0u)] => 7
  ['foo'][0] => "foo"
  [0, 1, 1, 2, 3, 5, 8, 13][4] => 3
  ['George', 'John', 'Paul', 'Ringo'][3] => "Ringo"
  [1, 2, 3][3] => error
  dyn([1, 2, 3][3]) || false => error
  dyn([1, 2, 3][3]) || true => true
  dyn([1, 2, 3][3]) && false => false
  dyn([1, 2, 3][3]) && true => error
  [1, 2, 3][dyn('')] => error
  dyn([1, 2, 3][dyn('')]) || false => error
  dyn([1, 2, 3][dyn('')]) || true => true
  dyn([1, 2, 3][dyn('')]) && false => false
  dyn([1, 2, 3][dyn('')]) && true => error
  7 in [] => false
  4u in [4u] => true
  'alpha' in ['alpha', 'beta', 'gamma'] => true
  3 in [5, 4, 3, 2, 1] => true
  20u in [4u, 6u, 8u, 12u, 20u] => true
  dyn(3.0) in [5, 4, 3, 2, 1] => true
  dyn(3u) in [5, 4, 3, 2, 1] => true
  dyn(3) in [5.0, 4.0, 3.0, 2.0, 1.0] => true
  dyn(3u) in [5.0, 4.0, 3.0, 2.0, 1.0] => true
  dyn(3) in [5u, 4u, 3u, 2u, 1u] => true
  dyn(3.0) in [5u, 4u, 3u, 2u, 1u] => true
  'hawaiian' in ['meat', 'veggie', 'margarita', 'cheese'] => false
  size([]) => 0
  size([1, 2, 3]) => 3
  size({}) => 0
  size({1: 'one', 2: 'two', 3: 'three'}) => 3
  true ? 1 : 2 => 1
  false ? 'foo' : 'bar' => "bar"
  2 / 0 > 4 ? 'baz' : 'quux' => error
  'cows' ? false : 17 => error
  true && true => true
  false && false => false
  false && true => false
  true && false => false
  false && (2 / 0 > 3 ? false : true) => false
  (2 / 0 > 3 ? false : true) && false => false
  true && 1/0 != 0 => error
  1/0 != 0 && true => error
  'less filling' && 'tastes great' => error
  true || true => true
  false || false => false
  false || true => true
  true || false => true
  true || (2 / 0 > 3 ? false : true) => true
  (2 / 0 > 3 ? false : true) || true => true
  false || 1/0 != 0 => error
  1/0 != 0 || false => error
  'less filling' || 'tastes great' => error
  !true => false
  !false => true
  !0 => error
  [1, 2, 3].exists(e, e > 0) => true
  [1, 2, 3].exists(e, e == 2) => true
  [1, 2, 3].exists(e, e > 3) => false
  [1, 2, 3].exists(e, e / 0 == 17) => error
  [].exists(e, e == 2) => false
  {'key1':1, 'key2':2}.exists(k, k == 'key2') => true
  !{'key1':1, 'key2':2}.exists(k, k == 'key3') => true
  [1, 2, 3].all(e, e > 0) => true
  [1, 2, 3].all(e, e == 2) => false
  [1, 2, 3].all(e, e == 17) => false
  [1, 'foo', 3].all(e, e % 2 == 1) => error
  [1, 2, 3].all(e, 6 / (2 - e) == 6) => false
  [1, 2, 3].all(e, e / 0 != 17) => error
  [].all(e, e > 0) => true
  {'key1':1, 'key2':2}.all(k, k == 'key2') => false
  [].exists_one(a, a == 7) => false
  [7].exists_one(a, a == 7) => true
  [8].exists_one(a, a == 7) => false
  [1, 2, 3].exists_one(x, x > 20) => false
  [6, 7, 8].exists_one(foo, foo % 5 == 2) => true
  [0, 1, 2, 3, 4].exists_one(n, n % 2 == 1) => false
  ['foal', 'foo', 'four'].exists_one(n, n.startsWith('fo')) => false
  [3, 2, 1, 0].exists_one(n, 12 / n > 1) => error
  {6: 'six', 7: 'seven', 8: 'eight'}.exists_one(foo, foo % 5 == 2) => true
  [].map(n, n / 2) => []
  [3].map(n, n * n) => [9]
  [2, 4, 6].map(n, n / 2) => [1, 2, 3]
  [2, 1, 0].map(n, 4 / n) => error
  {'John': 'smart'}.map(key, key) == ['John'] => true
  [].filter(n, n % 2 == 0) => []
  [2].filter(n, n == 2) => [2]
  [1].filter(n, n > 3) => []
  [1, 2, 3].filter(e, e > 3) => []
  [0, 1, 2, 3, 4].filter(x, x % 2 == 1) => [1, 3]
  [1, 2, 3].filter(n, n > 0) => [1, 2, 3]
  [3, 2, 1, 0].filter(n, 12 / n > 4) => error
  ['signer'].filter(signer, ['artifact'].all(artifact, true)) => ["signer"]
  ['signer'].all(signer, ['artifact'].all(artifact, true)) => true
  int(uint(int(uint(int(uint(int(uint(int(uint(int(uint(7)))))))))))) => 7
  size([[[[[[[[[[[[0]]]]]]]]]]]]) => 1
  size({0: {0: {0: {0: {0: {0: {0: {0: {0: {0: {0: {0: 'foo'}}}}}}}}}}}}) => 1
  ((((((((((((((((((((((((((((((((7)))))))))))))))))))))))))))))))) => 7
  !!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!true => true
  --------------------------------19 => 19
  [[[[[[[[[[[['foo']]]]]]]]]]]][0][0][0][0][0][0][0][0][0][0][0][0] => "foo"
  'hello' => "hello"
  "hello" => "hello"
  '''hello''' => "hello"
  """hello""" => "hello"
  ' \\ \? \" \' \` ' => " \\ ? \" ' ` "
  " \\ \? \" \' \` " => " \\ ? \" ' ` "
  ''' \\ \? \" \' \` ''' => " \\ ? \" ' ` "
  """ \\ \? \" \' \` """ => " \\ ? \" ' ` "
  ''' ? " ' ` ''' => " ? \" ' ` "
  """ ? " ' ` """ => " ? \" ' ` "
  ' \a \b \f \t \v ' => " \x07 \x08 \x0c \x09 \x0b "
  " \a \b \f \t \v " => " \x07 \x08 \x0c \x09 \x0b "
  ''' \a \b \f \t \v ''' => " \x07 \x08 \x0c \x09 \x0b "
  """ \a \b \f \t \v """ => " \x07 \x08 \x0c \x09 \x0b "
  ' \n ' => " \x0a "
  " \n " => " \x0a "
  ''' \n ''' => " \x0a "
  """ \n """ => " \x0a "
  ' \r ' => " \x0d "
  " \r " => " \x0d "
  ''' \r ''' => " \x0d "
  """ \r """ => " \x0d "
  ' \r\n ' => " \x0d\x0a "
  " \r\n " => " \x0d\x0a "
  ''' \r\n ''' => " \x0d\x0a "
  """ \r\n """ => " \x0d\x0a "
  ' \000 \012 \177 ' => " \x00 \x0a \x7f "
  " \000 \012 \177 " => " \x00 \x0a \x7f "
  ''' \000 \012 \177 ''' => " \x00 \x0a \x7f "
  """ \000 \012 \177 """ => " \x00 \x0a \x7f "
  ' \x00 \x0A \x7F ' => " \x00 \x0a \x7f "
  " \x00 \x0A \x7F " => " \x00 \x0a \x7f "
  ''' \x00 \x0A \x7F ''' => " \x00 \x0a \x7f "
  """ \x00 \x0A \x7F """ => " \x00 \x0a \x7f "
  ' \X00 \X0A \X7F ' => " \x00 \x0a \x7f "
  " \X00 \X0A \X7F " => " \x00 \x0a \x7f "
  ''' \X00 \X0A \X7F ''' => " \x00 \x0a \x7f "
  """ \X00 \X0A \X7F """ => " \x00 \x0a \x7f "
  ' \u0000 \u000A \u007F \u0100 \uFFFB ' => " \x00 \x0a \x7f Ā ￻ "
  " \u0000 \u000A \u007F \u0100 \uFFFB " => " \x00 \x0a \x7f Ā ￻ "
  ''' \u0000 \u000A \u007F \u0100 \uFFFB ''' => " \x00 \x0a \x7f Ā ￻ "
  """ \u0000 \u000A \u007F \u0100 \uFFFB """ => " \x00 \x0a \x7f Ā ￻ "
  ' \x4a \x4B \X4c \X4D \u01aB \U000001aB ' => " J K L M ƫ ƫ "
  " \x4a \x4B \X4c \X4D \u01aB \U000001aB " => " J K L M ƫ ƫ "
  ''' \x4a \x4B \X4c \X4D \u01aB \U000001aB ''' => " J K L M ƫ ƫ "
  """ \x4a \x4B \X4c \X4D \u01aB \U000001aB """ => " J K L M ƫ ƫ "
  ' \U00088888 ' => " 򈢈 "
  " \U00088888 " => " 򈢈 "
  """#
