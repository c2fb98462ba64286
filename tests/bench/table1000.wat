;; SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
(module (table (export "table") 1000 externref))
