#pragma once
// Every differentiable function of the library: its table of contents.
//
// Conventions. Images are [N, C, H, W] (for speech: H = frequency bin, W = time frame), sequences
// [N, T, D], capsules [N, capsules, size]. Axes may be negative. Every function throws
// std::invalid_argument("name: what must hold; got <shapes>") on bad input and returns a contiguous
// result. Each has a gradient check in double over every element of every input in tests/autograd.
//
//   elementwise.h     add sub mul div neg affine pow maximum minimum, operators; lt le gt ge eq ne,
//                     where masked_fill; exp log sqrt rsqrt square abs sign clamp erf dropout; relu
//                     sigmoid tanh leaky_relu elu gelu silu softplus hardtanh relu6
//   reduce.h          sum mean max min var stddev logsumexp norm cumsum argmax
//   shape.h           reshape flatten permute transpose slice concat stack split chunk expand
//                     repeat flip pad unfold
//   index.h           index_select embedding gather scatter_add topk one_hot tril_mask triu_mask
//   linear.h          matmul bmm outer linear
//   loss.h            softmax log_softmax; mse_loss l1_loss smooth_l1_loss huber_loss
//                     binary_cross_entropy_with_logits kl_div nll_loss cross_entropy margin_loss
//   convolution.h     conv2d conv1d conv_transpose2d; conv2d_relu_maxpool
//                     conv2d_relu_maxpool_branches
//   pooling.h         max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d interpolate
//   normalisation.h   batch_norm layer_norm rms_norm group_norm instance_norm
//   mixed.h           mixed_kernel mixed_bias unused_taps: a searched convolution
//   recurrent.h       gru gru_last_state attention_pooling
//   attention.h       scaled_dot_product_attention
//   lstm.h            lstm rnn, which also give their last states
//   capsule.h         squash capsule_norm append_norms capsule_votes capsule_routing capsule_layer
//                     routing_coefficients

#include "autograd/functions/attention.h"
#include "autograd/functions/capsule.h"
#include "autograd/functions/convolution.h"
#include "autograd/functions/elementwise.h"
#include "autograd/functions/index.h"
#include "autograd/functions/linear.h"
#include "autograd/functions/loss.h"
#include "autograd/functions/lstm.h"
#include "autograd/functions/mixed.h"
#include "autograd/functions/normalisation.h"
#include "autograd/functions/pooling.h"
#include "autograd/functions/recurrent.h"
#include "autograd/functions/reduce.h"
#include "autograd/functions/shape.h"
