#pragma once
// Matrix products. Conventions: autograd/functions.h.

#include "autograd/variable.h"

namespace serenade {

/// [.., M, K] x [.., K, N] = [.., M, N]; leading axes broadcast. A vector stands for a row on the
/// left and a column on the right, and that axis is not in the result: [K] x [K] is a scalar.
Variable matmul(const Variable& a, const Variable& b);
/// matmul of two batches, [B, M, K] x [B, K, N], that must be equally long.
Variable bmm(const Variable& a, const Variable& b);
/// a_i b_j of two vectors: [N] and [M] to [N, M].
Variable outer(const Variable& a, const Variable& b);
/// x W^T + b. x: [.., in], weight: [out, in], bias: [out] or undefined; result [.., out].
Variable linear(const Variable& x, const Variable& weight, const Variable& bias = {});

}  // namespace serenade
